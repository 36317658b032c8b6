"""A run of the benchmarks: job by job, shown and written as it goes."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import sys
from datetime import date
from pathlib import Path

from benchmarks import tables
from benchmarks.busy import taken
from benchmarks.cases import CASES
from benchmarks.folders import FOLDER, measure_folders
from benchmarks.growth import GROWTH, measure_growth
from benchmarks.inputs import SQUEEZENETS, has_onnx, write_files
from benchmarks.plan import key, plan
from benchmarks.programs import IMPORT, PROGRAM, measure_imports, measure_programs
from benchmarks.turns import Disagreement, Worker, measure
from npgrad._files import atomic_write

PACKAGES = {"numpy": "NumPy", "torch": "torch", "captum": "Captum", "onnxruntime": "ONNX Runtime"}


class Bench:
    """A run: its results so far, its two files, and the contenders' processes."""

    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.json, self.table = (Path(f"{args.output}{suffix}") for suffix in (".json", ".md"))
        self.data = {"about": about(args.side), "records": []}
        if args.resume and self.json.exists():
            self.data = self._resumed()
        self.json.parent.mkdir(parents=True, exist_ok=True)
        self.workers, self.threads, self.failed = {}, None, False

    def _resumed(self):
        stored, now = json.loads(self.json.read_text()), self.data["about"]
        for name in now:
            if name != "date" and now[name] != stored["about"][name]:
                raise SystemExit(
                    f"benchmarks: {self.json} was measured with other {name}: {stored['about'][name]}, now "
                    f"{now[name]}; without --resume, the run begins again"
                )
        return stored

    def run(self, bar):
        done = {key(record) for record in self.data["records"]}
        self._say(bar, [tables.about(self.data)])
        section = None
        for record in self.data["records"]:
            section = self._show(bar, record, section)
        jobs = plan(self.args)
        bar.reset(total=len(jobs))
        for job in jobs:
            if key(job) not in done:
                section = self._do(bar, job, section)
            bar.update()

    def _do(self, bar, job, section):
        try:
            record = {**job, **self._measure(bar, job)}
        except Disagreement as error:
            self.failed = True
            bar.write(f"benchmarks: {job['network']}, batch {job['batch']}, {error}", file=sys.stderr)
            return section
        self.data["records"].append(record)
        self._write()
        return self._show(bar, record, section)

    def _measure(self, bar, job):
        def tell(what):
            where = [job["network"], f"batch {job['batch']}"] if job["batch"] else []
            bar.set_description(", ".join([tables.in_words(job["threads"]), *where, job["case"], what]))

        limits = self.args.rounds, self.args.budget
        if job["network"] and not Path(self.folder, f"{job['network']}.h5").exists():
            tell("writing the network")
            write_files(self.folder, job["network"])
        if job["case"] == PROGRAM:
            return measure_programs(job, self.folder, *limits, tell)
        if job["case"] == IMPORT:
            return measure_imports(job, *limits, tell)
        if job["case"] == FOLDER:
            return measure_folders(job, self.folder, tell)
        if job["case"] in GROWTH:
            return measure_growth(job, self.folder, tell)
        case, left_out = CASES[job["case"]], {}
        names = [name for name in self.args.contenders if case.of(name)]
        if "onnxruntime" in names and not has_onnx(job["network"]):
            names.remove("onnxruntime")
            left_out["onnxruntime"] = "not installed" if job["network"] in SQUEEZENETS else "no file"
        workers = {name: self._worker(name, job["threads"]) for name in names}
        asked = {**job, "side": self.args.side}
        with taken(case.taken):
            found = measure(workers, asked, self.folder, case.tolerance, *limits, tell)
        return {**found, "left_out": left_out}

    def _worker(self, name, threads):
        if threads != self.threads:
            self.close()
            self.threads = threads
        if name not in self.workers:
            self.workers[name] = Worker(name, self.folder, threads)
        return self.workers[name]

    def _show(self, bar, record, section):
        """Print the record's line, with a header where a new table begins; return the section of the table."""
        new = tables.section(record)
        self._say(bar, ([] if new == section else ["", *tables.header(new)]) + [tables.row(record)])
        return new

    def _say(self, bar, lines):
        bar.write("\n".join(lines))
        sys.stdout.flush()

    def _write(self):
        texts = {self.json: json.dumps(self.data, indent=1), self.table: tables.markdown(self.data)}
        for path, text in texts.items():
            with atomic_write(path) as temporary:
                temporary.write_text(text)

    def close(self):
        for worker in self.workers.values():
            worker.close()
        self.workers = {}


def about(side):
    """Date, machine and versions of this run."""
    versions = {"Python": platform.python_version()}
    for package, name in PACKAGES.items():
        if importlib.util.find_spec(package):
            versions[name] = importlib.metadata.version(package)
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "versions": versions,
        "side": side,
    }


def _processor():
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
