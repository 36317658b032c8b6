"""The homework's questions, and the checks of a student's functions.

    check("Q1.1", compute_saliency_maps)      prints what is right and what is wrong; a Result
    grade(globals())                          checks every question whose functions are defined there

A function is called on small networks with random weights and on random images, and its values are compared with
npgrad's. If they are wrong and the mistake is a common one, the message names it.

`_questions` is the table of notebooks and questions, the modules `_checks_of_` that of their checks; `_results` calls
the checks and counts the points, `_answer` calls a student's function, `_compare` explains wrong values, `_cases` has
the networks and images. The other modules have the check of each function. `npgrad.course.submissions` runs whole
notebooks, and checks their functions in another process.
"""

from npgrad.course.grading._answer import NOT_YET
from npgrad.course.grading._questions import HOMEWORKS, QUESTIONS, Question
from npgrad.course.grading._results import Grades, Result, check, grade, grade_one

__all__ = ["HOMEWORKS", "NOT_YET", "QUESTIONS", "Grades", "Question", "Result", "check", "grade", "grade_one"]
