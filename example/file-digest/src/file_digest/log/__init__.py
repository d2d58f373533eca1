"""From a record to a line of the one file.

    pipe     the worker formats ── one atomic write ──▶ pipe ──▶ listener copies ──▶ file
    queue    the worker pickles ──▶ multiprocessing.Queue ──▶ listener formats ──▶ file

The pipe needs no lock, thread or buffer in the worker: when a log call returns, its record is in
the kernel's hands, and a process that is killed then or later harms no other process's log.

The queue is the classic design, for Windows, where a pipe's writes are not atomic, and for those
who want handlers of their own in the listener. What it cannot promise is said in ``queue``.
"""
