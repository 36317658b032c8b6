"""Work that is ended at a random moment, or for which the disk has too little space: what is then on the disk.

work.py        what is done: every way in which npgrad writes a file
child.py       one such piece of work as a process of its own
kinds.py       what must hold after it was ended, and when it was done at last
driver.py      starts it, ends it at a random moment, asks whether it holds; does so many times
each_line.py   ends it at every single line of the code that writes, one after the other
disks.py       disks that are full or read-only, and names that cannot be written

`python -m tests.robustness.interrupts` does all of it and prints how much was survived.
"""
