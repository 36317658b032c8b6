"""Grade notebooks: a student's code in its own process, and the comparison in one that never runs it.

`_notebook` reads and grades one; `_session` runs its cells and calls its functions in a `_kernel`, in which `_worker`
answers and `_observe` sees what is called; `_remote` makes that an Answer for the checks of `npgrad.course.grading`,
and `_wire` carries the values. `_folder` grades many, `_feedback` and `_gradescope` write what people and sites read,
`_source` reads cells without running them.
"""

from npgrad.course.submissions._notebook import code_cells, grade_notebook, questions, read
from npgrad.course.submissions._session import Limits

__all__ = ["Limits", "code_cells", "grade_notebook", "questions", "read"]
