"""Imported by multiprocessing's forkserver, and by nobody else, before all other modules.

The forkserver starts with stop signals blocked, see ``processes.start_helpers``. Here it leaves
main's session and unblocks them: its children, ours and those of the job, begin with none blocked.
"""

from .inheritance import lead_session

lead_session()
