"""What a run measures, in this order: jobs {"threads", "network", "batch", "case"}."""

from itertools import product

from benchmarks.cases import CASES
from benchmarks.folders import FOLDER
from benchmarks.growth import GROWTH
from benchmarks.inputs import LARGER, SQUEEZENETS
from benchmarks.programs import IMPORT, PROGRAM

LARGER_CASES = ("forward", "gradient")
EVERY_CASE = (*CASES, *GROWTH, FOLDER, PROGRAM, IMPORT)


def plan(args):
    """The jobs that the command line asks for."""
    jobs = []
    for threads in args.threads:
        every = product(args.networks, args.batches, CASES)
        jobs += [job(threads, *one) for one in every if is_wanted(args, threads, *one)]
        if not args.cases or PROGRAM in args.cases:
            jobs += [job(threads, network, 1, PROGRAM) for network in args.networks if network in SQUEEZENETS]
    growing = [name for name in (*GROWTH, FOLDER) if not args.cases or name in args.cases]
    jobs += [job(max(args.threads), args.networks[0], None, name) for name in growing]
    if not args.cases or IMPORT in args.cases:
        jobs.append(job(max(args.threads), None, None, IMPORT))
    return jobs


def is_wanted(args, threads, network, batch, name):
    """Whether a case is measured at this batch: cases that are named, otherwise those that do not take too long."""
    case = CASES[name]
    if batch not in case.batches or (network in LARGER and (name not in LARGER_CASES or batch > 8)):
        return False
    if args.cases:
        return name in args.cases
    most = 1 if network in LARGER and threads == 1 else usual_batch(case, threads)
    return args.full or batch <= most


def usual_batch(case, threads):
    """The largest batch that is measured by default."""
    if threads == 1:
        return 1 if case.long else min(case.usual, 8)
    return case.usual


def job(threads, network, batch, case):
    return {"threads": threads, "network": network, "batch": batch, "case": case}


def key(job):
    """What identifies a job, or the record made of it."""
    return tuple(job[name] for name in ("threads", "network", "batch", "case"))
