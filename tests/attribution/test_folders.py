"""Folder runs: what is made, what is skipped, and how a run is resumed."""

import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import folder_runs
import numpy as np
import pytest
from folder_runs import files, lines, little_net, photo, photos
from messages import A_WHOLE_NUMBER, AN_INDEX, NOT_WRITTEN, OTHER_SETTINGS
from PIL import Image

import npgrad
from npgrad.attribution import explanation
from npgrad.attribution.explain import answer as explain
from npgrad.attribution.folders import attribute_folder, job
from npgrad.attribution.request import Request
from npgrad.errors import InputError, TargetError, UnknownName


@pytest.fixture(scope="module")
def net():
    return little_net()


@pytest.fixture
def folder(tmp_path):
    return photos(tmp_path / "photos", 4)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_each_photo_gets_the_image_that_it_gets_alone(net, folder, out):
    photo(folder / "deep" / "er" / "000.jpg", 7)
    photo(folder / "000.png", 8)  # beside 000.jpg
    run = attribute_folder(net, folder, out, save_arrays=True)
    names = ["000.jpg", "000.png", "001.jpg", "002.jpg", "003.jpg", "deep/er/000.jpg"]
    assert [line["image"] for line in lines(out)] == names
    assert sorted(files(out)) == sorted(f"{name}{end}" for name in names for end in (".png", ".npy"))
    for line in lines(out):
        expected = explain(net, folder / line["image"], Request())
        with Image.open(out / line["output"]) as image:
            np.testing.assert_array_equal(np.asarray(image), np.asarray(expected.image))
        np.testing.assert_array_equal(np.load(out / line["array"]), expected.array)
        x = net.preprocess(folder / line["image"])
        np.testing.assert_array_equal(npgrad.attribution.saliency(net, x)[0], expected.array)
        assert tuple(line["target"].values()) == expected.target == net.predict(x, top=1)[0][0]
        assert line["method"] == "saliency" and line["seconds"] > 0
    assert (run.total, run.made, run.there, run.broken, run.left) == (6, 6, 0, [], 0)
    assert run.manifest == out / "manifest.jsonl"


def test_what_is_skipped(net, folder, tmp_path):
    (folder / "readme.txt").write_text("of no interest")
    (folder / ".hidden.jpg").write_bytes(b"")
    photo(folder / ".thumbnails" / "a.jpg")
    (folder / "loop").symlink_to(folder)
    for method in ("saliency", "grad_cam"):  # the results inside of what is explained
        run = attribute_folder(net, folder, folder / f"by-{method}", method, options=options_of(method))
        assert (run.made, run.skipped) == (4, 1)
    run = attribute_folder(net, folder, tmp_path / "elsewhere")
    assert (run.made, run.skipped) == (4, 1)


def options_of(method):
    return {"layer": "conv"} if method == "grad_cam" else {}


def break_some(folder):
    (folder / "001.jpg").write_bytes((folder / "001.jpg").read_bytes()[:500])
    (folder / "text.jpg").write_text("no image at all")
    (folder / "empty.png").write_bytes(b"")
    (folder / "gone.jpg").symlink_to("nowhere")


BROKEN = {
    "001.jpg": "cannot be read as an image: ",
    "empty.png": "not an image, ",
    "gone.jpg": "no such file",
    "text.jpg": "not an image, ",
}


def test_broken_photos_are_reported_and_tried_again(net, folder, out):
    break_some(folder)
    run = attribute_folder(net, folder, out)
    assert run.made == 3
    assert [name for name, _ in run.broken] == list(BROKEN)
    for name, reason in run.broken:
        assert reason.startswith(BROKEN[name]) and "\n" not in reason
    assert {line["image"]: line["error"] for line in lines(out) if "error" in line} == dict(run.broken)
    before = lines(out)
    assert attribute_folder(net, folder, out).broken == run.broken
    assert lines(out) == before  # the same is not said twice
    photo(folder / "text.jpg")
    run = attribute_folder(net, folder, out)
    assert (run.made, run.there, len(run.broken)) == (1, 3, 3)
    assert lines(out)[:-1] == before and lines(out)[-1]["output"] == "text.jpg.png"


def test_what_is_done_is_not_done_again_unless_it_changed(net, folder, out):
    attribute_folder(net, folder, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    run = attribute_folder(net, folder, out)
    assert (run.made, run.there) == (0, 4)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    photo(folder / "002.jpg", seed=99)
    os.utime(folder / "003.jpg", (1, 1))
    (out / "001.jpg.png").unlink()
    photo(folder / "new.jpg")
    run = attribute_folder(net, folder, out)
    assert (run.made, run.there) == (4, 1)
    assert [line["image"] for line in lines(out)[4:]] == ["001.jpg", "002.jpg", "003.jpg", "new.jpg"]
    assert attribute_folder(net, folder, out).there == 5


@pytest.mark.parametrize(
    "tail", [b'{"image": "003.jp', b"\x00" * 300, b"{}", b'{"image": "003.jpg", "size": 1}']
)
def test_an_incomplete_line_is_removed(net, folder, out, tail):
    attribute_folder(net, folder, out)
    expected, manifest = files(out), out / "manifest.jsonl"
    whole = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(whole[:3]) + tail)
    run = attribute_folder(net, folder, out)
    assert (run.made, run.there) == (1, 3)
    assert manifest.read_bytes().splitlines(keepends=True)[:3] == whole[:3]
    assert len(lines(out)) == 4 and files(out) == expected


@pytest.mark.parametrize(
    "line", [b"not JSON", b"5", b"[]", b"{}", b"null", b'{"image": 3, "size": []}', b"[" * 5000, b"\xff"]
)
def test_an_invalid_line_is_ignored(net, folder, out, line):
    attribute_folder(net, folder, out)
    manifest = out / "manifest.jsonl"
    whole = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join([whole[0], line + b"\n", *whole[2:]]))
    run = attribute_folder(net, folder, out)
    assert (run.made, run.there) == (1, 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "deconvolution"}, 'method "saliency", now "deconvolution"'),
        ({"target": "owl"}, 'target "auto", now 2'),
        ({"outliers": 5}, "outliers 2.0, now 5.0"),
        ({"sign": "signed"}, 'sign null, now "signed"'),
        ({"alone": True}, "alone false, now true"),
        ({"save_arrays": True}, "arrays false, now true"),
        ({"model": little_net(1)}, "network "),
        ({"method": "occlusion", "options": {"window": 9}}, 'options {}, now {"window": 9}'),
    ],
)
def test_other_settings_are_refused_and_nothing_is_lost(net, folder, out, changed, message):
    attribute_folder(net, folder, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with pytest.raises(InputError, match=f"its images were {OTHER_SETTINGS}") as error:
        attribute_folder(**{"model": net, "folder": folder, "output": out, **changed})
    assert message in str(error.value)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}


def test_another_folder_or_version_is_refused(net, folder, out, tmp_path, monkeypatch):
    attribute_folder(net, folder, out)
    with pytest.raises(InputError, match="folder "):
        attribute_folder(net, photos(tmp_path / "others", 1), out)
    monkeypatch.setattr(job, "__version__", "99")
    with pytest.raises(InputError, match='now "99"'):
        attribute_folder(net, folder, out)


@pytest.mark.parametrize("text", ["", "[]", "nothing", "[" * 5000])
def test_damaged_settings_are_refused(net, folder, out, text):
    attribute_folder(net, folder, out)
    (out / "npgrad-run.json").write_text(text)
    with pytest.raises(InputError, match="npgrad-run.json: cannot be read as the settings of a run"):
        attribute_folder(net, folder, out)


def test_where_nothing_was_done_settings_are_free(net, folder, out):
    assert attribute_folder(net, folder, out, progress=interrupt_at(0)).interrupted
    assert attribute_folder(net, folder, out, "deconvolution").made == 4


def interrupt_at(count):
    def progress(done, total):
        if done == count:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("count", range(4))
def test_an_interrupted_run_goes_on(net, folder, out, tmp_path, count):
    run = attribute_folder(net, folder, out, progress=interrupt_at(count))
    assert run.interrupted and (run.made, run.left) == (count, 4 - count)
    seen = []
    run = attribute_folder(net, folder, out, progress=lambda *step: seen.append(step))
    assert not run.interrupted and (run.made, run.there, run.left) == (4 - count, count, 0)
    assert seen == [(done, 4) for done in range(count, 5)]
    attribute_folder(net, folder, tmp_path / "at once")
    assert files(out) == files(tmp_path / "at once")


def test_an_interruption_inside_the_work(net, folder, out, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    attribute_folder(net, folder, out, progress=interrupt_at(2))
    with monkeypatch.context() as patch:
        patch.setattr(explanation, "save_image", interrupt)
        run = attribute_folder(net, folder, out)
    assert run.interrupted and (run.made, run.there, run.left) == (0, 2, 2)
    assert attribute_folder(net, folder, out).made == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "salience"}, UnknownName, "no method 'salience'; nearest: saliency"),
        ({"target": 5}, TargetError, f"{AN_INDEX} 4; found 5"),
        ({"options": {"n_steps": 3}}, InputError, "options: saliency takes no 'n_steps'"),
        ({"options": {"progress": print}}, InputError, "options: saliency takes no 'progress'"),
        ({"method": "grad_cam", "options": {"layer": "cnov"}}, UnknownName, "no layer 'cnov'; nearest: conv"),
        ({"method": "occlusion", "options": {"window": 0}}, InputError, "window"),
        ({"method": "lrp", "options": {"return_delta": True}}, InputError, "return_delta"),
        ({"method": "smoothgrad", "options": {"rng": np.random.default_rng(0)}}, InputError, "rng: expected a whole"),
        ({"method": ("lrp", "saliency"), "options": {"rules": None}}, InputError, "options: several methods"),
        ({"method": ("lrp", "saliency"), "save_arrays": True}, InputError, "save_arrays: several methods"),
        ({"sign": "both"}, InputError, "sign: expected one of"),
        ({"outliers": 100}, InputError, "outliers"),
        ({"ahead": 0, "executor": ThreadPoolExecutor(1)}, InputError, f"ahead: {A_WHOLE_NUMBER} >= 1, found 0"),
    ],
)  # fmt: skip
def test_mistakes_end_the_run_at_once_and_leave_nothing(net, folder, out, arguments, error, message):
    with pytest.raises(error) as raised:
        attribute_folder(net, folder, out, **arguments)
    assert message in str(raised.value)
    assert not out.exists()


def test_folders_that_cannot_be(net, folder, out, tmp_path):
    with pytest.raises(InputError, match="nothing: expected a folder of photos"):
        attribute_folder(net, tmp_path / "nothing", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no images in it"):
        attribute_folder(net, tmp_path / "empty", out)
    with pytest.raises(
        InputError, match="expected a new or empty folder for the results, found 00[0-3].jpg in it"
    ):
        attribute_folder(net, folder, folder)
    with pytest.raises(InputError, match=f"000.jpg: {NOT_WRITTEN}"):
        attribute_folder(net, folder, folder / "000.jpg")
    attribute_folder(net, folder, out)
    with pytest.raises(InputError, match="expected a folder of photos, found one of results"):
        attribute_folder(net, out, tmp_path / "again")
    precious = tmp_path / "precious"
    precious.write_text("no end of line")
    (out / "manifest.jsonl").unlink()
    (out / "manifest.jsonl").symlink_to(precious)
    with pytest.raises(InputError, match="manifest.jsonl: expected a regular file"):
        attribute_folder(net, folder, out)
    assert precious.read_text() == "no end of line"


def test_an_error_that_only_one_photo_has_is_its_own(net, folder, out, monkeypatch):
    dark, saliency = net.preprocess(folder / "002.jpg"), npgrad.attribution.saliency

    def picky(model, x, target=None):
        if np.array_equal(x, dark):
            raise InputError("x: this one is not to my taste")
        return saliency(model, x, target)

    monkeypatch.setattr(npgrad.attribution, "saliency", picky)
    run = attribute_folder(net, folder, out)
    assert run.made == 3 and run.broken == [("002.jpg", "x: this one is not to my taste")]


def test_a_bug_keeps_its_traceback(net, folder, out, monkeypatch):
    def bug(*arguments):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(npgrad.attribution, "saliency", bug)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        attribute_folder(net, folder, out)


def test_a_result_that_cannot_be_written_ends_the_run(net, folder, out, monkeypatch):
    def full(image, path, text):
        if path.endswith("002.jpg.png"):
            raise InputError(f"{path}: {NOT_WRITTEN}: No space left on device")
        save_image(image, path, text)

    save_image = explanation.save_image
    with monkeypatch.context() as patch:
        patch.setattr(explanation, "save_image", full)
        with pytest.raises(InputError, match="No space left"):
            attribute_folder(net, folder, out)
    assert [line["image"] for line in lines(out)] == ["000.jpg", "001.jpg"]
    run = attribute_folder(net, folder, out)
    assert (run.made, run.there) == (2, 2)


def test_leftovers_of_a_killed_run_are_removed(net, folder, out):
    attribute_folder(net, folder, out)
    for name in (".npgrad-0123456789ab.png", ".npgrad-mine.png"):
        (out / name).write_bytes(b"half a pic")
    attribute_folder(net, folder, out)
    assert not (out / ".npgrad-0123456789ab.png").exists()
    assert (out / ".npgrad-mine.png").exists()


def test_peculiar_names(net, tmp_path, out):
    odd = ["two\nlines.jpg", "ü 写真.jpg", os.fsdecode(b"caf\xe9.jpg"), "UPPER.JPG", "a.b.c.jpeg", "-o.png"]
    for name in odd:
        photo(tmp_path / "photos" / name)
    photo(tmp_path / "photos" / ("x" * 248 + ".jpg"))  # .png is too much
    run = attribute_folder(net, tmp_path / "photos", out)
    assert run.made == len(odd)
    assert [reason for _, reason in run.broken] == ["its name is too long for .png to be appended"]
    assert {line["image"] for line in lines(out) if "output" in line} == set(odd)
    assert attribute_folder(net, tmp_path / "photos", out).there == len(odd)


def test_a_subfolder_that_cannot_be_read_is_reported(net, folder, out, monkeypatch):
    photo(folder / "locked" / "a.jpg")
    scandir = os.scandir

    def scan(path="."):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    run = attribute_folder(net, folder, out)
    assert (run.total, run.made, run.left) == (5, 4, 0)
    assert run.broken == [("locked", "cannot be read: Permission denied")]


def test_warnings_go_to_the_manifest(net, folder, out):
    Image.new("RGB", (40, 40), "gray").save(folder / "flat.png")
    run = attribute_folder(
        net, folder, out, "occlusion", options={"window": 32, "stride": 32}, sign="positive"
    )
    said = {line["image"]: line["warnings"] for line in lines(out) if "warnings" in line}
    assert run.warned == len(said) > 0
    assert {text for texts in said.values() for text in texts} == {
        "nothing to show: the same value everywhere"
    }


def test_several_methods_make_a_sheet(net, folder, out):
    run = attribute_folder(net, folder, out, ("saliency", "deconvolution"))
    assert run.made == 4 and lines(out)[0]["method"] == "saliency,deconvolution"
    with Image.open(out / "000.jpg.png") as sheet:
        assert sheet.width > 2 * 64 and np.asarray(sheet).std() > 20


class Counting(ThreadPoolExecutor):
    """Counts the tasks that are under way, and how large they are to send."""

    def __init__(self):
        super().__init__(2)
        self.lock, self.now, self.most, self.sizes = threading.Lock(), 0, 0, []

    def submit(self, work, /, *arguments):
        self.sizes.append(len(pickle.dumps((work, arguments))))
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        return super().submit(self._work, work, *arguments)

    def _work(self, work, *arguments):
        result = work(*arguments)
        with self.lock:
            self.now -= 1
        return result


@pytest.mark.parametrize("ahead", [1, 3])
def test_few_photos_are_under_way_at_a_time(net, tmp_path, out, ahead):
    with Counting() as executor:
        run = attribute_folder(net, photos(tmp_path / "photos", 12), out, executor=executor, ahead=ahead)
    assert run.made == len({line["image"] for line in lines(out)}) == 12
    assert 1 <= executor.most <= ahead
    small = [size for size in executor.sizes if size < 200]
    assert len(small) == 12 and len(executor.sizes) - 12 <= ahead  # the network goes to who does not have it


def test_an_executor_is_left_with_nothing_to_do(net, tmp_path, out):
    with Counting() as executor:
        folder = photos(tmp_path / "photos", 12)
        run = attribute_folder(net, folder, out, executor=executor, ahead=6, progress=interrupt_at(3))
        assert run.interrupted and run.made == 3
    assert not job._jobs
    assert len(files(out)) <= 3 + 2 * 2  # those that were being made are finished
    assert attribute_folder(net, folder, out).made == 9


def same_results(one, other):
    """The same files; and the same lines in any order, but for the time they took."""

    def without_time(output):
        return sorted(({**line, "seconds": 0} for line in lines(output)), key=lambda line: line["image"])

    return files(one) == files(other) and without_time(one) == without_time(other)


@pytest.mark.exhaustive
def test_processes_make_the_same(net, folder, out, tmp_path):
    break_some(folder)
    photo(folder / "deep" / "000.jpg")
    here = attribute_folder(net, folder, out, save_arrays=True)
    with ProcessPoolExecutor(2, get_context("spawn")) as executor:
        options = {"save_arrays": True, "executor": executor}
        there = attribute_folder(net, folder, tmp_path / "by processes", **options)
        assert (there.made, sorted(there.broken)) == (here.made, sorted(here.broken))
        assert same_results(out, tmp_path / "by processes")
        with pytest.raises(UnknownName, match="no layer 'cnov'"):  # an error comes back whole
            attribute_folder(
                net, folder, tmp_path / "x", "grad_cam", options={"layer": "cnov"}, executor=executor
            )


@pytest.mark.exhaustive
def test_a_dask_cluster_makes_the_same(net, folder, out, tmp_path):
    distributed = pytest.importorskip("distributed")
    break_some(folder)
    attribute_folder(net, folder, out)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        run = attribute_folder(net, folder, tmp_path / "by dask", executor=client.get_executor())
        pids = client.run(os.getpid)
    assert run.made == 3 and [name for name, _ in sorted(run.broken)] == list(BROKEN)
    assert same_results(out, tmp_path / "by dask")
    assert len(set(pids.values()) - {os.getpid()}) == 2


def test_two_runs_in_one_folder_do_not_meet(net, folder, out):
    code = """if True:
        import sys
        from folder_runs import little_net
        from npgrad.errors import InputError
        from npgrad.attribution.folders import attribute_folder
        try:
            attribute_folder(little_net(), *sys.argv[1:])
        except InputError as error:
            print(error)
    """
    said = []

    def meanwhile(done, total):
        if done == 2:
            said.append(in_a_process(code, folder, out))

    run = attribute_folder(net, folder, out, progress=meanwhile)
    assert run.made == 4
    assert said == [f"{out}: another run is using this folder\n"]
    assert in_a_process(code, folder, out) == ""  # then it may


def in_a_process(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=Path(folder_runs.__file__).parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


@pytest.mark.exhaustive
def test_memory_does_not_grow_with_the_folder(tmp_path):
    """Peak memory, in MB, of runs over 20 and 300 photos, each in a process of its own."""
    pytest.importorskip("resource")
    code = """if True:
        import resource, sys
        from folder_runs import little_net
        from npgrad.attribution.folders import attribute_folder
        run = attribute_folder(little_net(), *sys.argv[1:])
        print(run.made, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    """
    peaks = {}
    for count in (20, 300):
        for i in range(count):
            (tmp_path / f"{count}").mkdir(exist_ok=True)
            if i < 20:
                photo(tmp_path / f"{count}" / f"{i}.jpg", i)
            else:
                (tmp_path / f"{count}" / f"{i}.jpg").hardlink_to(tmp_path / f"{count}" / f"{i % 20}.jpg")
        made, peaks[count] = in_a_process(code, tmp_path / f"{count}", tmp_path / f"out{count}").split()
        assert int(made) == count
    assert float(peaks[300]) < float(peaks[20]) + 8
