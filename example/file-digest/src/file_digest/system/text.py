"""Make text safe to show: a name, a message or a traceback may contain anything."""

from collections.abc import Callable

ESCAPES = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"
} | {
    # Line and paragraph separator, and what makes a terminal show text in another order:
    # https://trojansource.codes
    code: f"\\u{code:04x}"
    for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}

IN_ONE_LINE = ESCAPES | {ord("\t"): r"\t", ord("\n"): r"\n"}


def visible(text: str) -> str:
    """Return a text as one line, with escapes for characters that control a terminal."""
    if text.isprintable():
        return text
    return text.translate(IN_ONE_LINE).encode("utf-8", "backslashreplace").decode()


def text_of(value: object, show: Callable[[object], str] = repr) -> str:
    """Return an owner's object as text, even if its own methods raise."""
    try:
        return show(value)
    except BaseException as trouble:  # its __repr__ or __str__ may raise anything
        return f"{type(value).__name__} (cannot be shown: {type(trouble).__name__})"
