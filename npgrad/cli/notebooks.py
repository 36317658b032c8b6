"""Write the homework's notebooks (LayersByHand, NetworkVisualization, StyleTransfer) and the lesson BackpropByHand.

They run as they are, with the installed npgrad; `npgrad grade` grades them. The student edition has a place to write
each answer instead of the answer."""

from npgrad._files import check_folder, shown

HELP = "Jupyter notebooks of the homework, solved or for students"
EXAMPLES = """examples:
  npgrad notebooks homework
  npgrad notebooks homework --student"""


def add_arguments(parser):
    parser.add_argument("folder", metavar="DIR", help="folder to write to; it is created if necessary")
    parser.add_argument("--student", action="store_true", help="the student edition, without answers")
    parser.add_argument(
        "--force", action="store_true", help="replace notebooks of these names that are already there"
    )


def run(args):
    from npgrad.course.notebooks import NAMES, write_notebooks

    check_folder(args.folder, [f"{name}.ipynb" for name in NAMES] if args.force else ())
    for path in write_notebooks(args.folder, student=args.student, force=args.force):
        print(shown(path))
