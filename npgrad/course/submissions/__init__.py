"""Grade notebooks: a student's code in its own process, and the comparison in one that never runs it.

`_notebook` reads and grades one; `_session` runs its cells and calls its functions in a `_kernel`, in which `_worker`
answers and `_observe` sees what is called; `_remote` makes that an Answer for the checks of `npgrad.course.grading`,
and `_wire` carries the values. `_folder` grades many, `_feedback`, `_tables` and `_gradescope` write what people and
sites read, `_source` reads cells without running them.
"""

from npgrad.course.submissions._folder import Settings, find_submissions, grade_folder, seed_of
from npgrad.course.submissions._gradescope import write_gradescope
from npgrad.course.submissions._kernel import jupyter
from npgrad.course.submissions._notebook import code_cells, grade_notebook, questions, read
from npgrad.course.submissions._session import Limits
from npgrad.course.submissions._tables import write_tables

__all__ = [
    "Limits", "Settings", "code_cells", "find_submissions", "grade_folder", "grade_notebook", "jupyter", "questions",
    "read", "seed_of", "write_gradescope", "write_tables",
]  # fmt: skip
