"""Completion in real shells: the scripts that `npgrad completion` prints, run by those of them that are there."""

import os
import re
import shutil
import subprocess

import pytest

from npgrad.attribution.methods import METHODS
from npgrad.cli import COMMANDS, _completion, _parser
from npgrad.models.registry import ARCHITECTURES


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """A folder with the three scripts, and a few files to complete."""
    folder = tmp_path_factory.mktemp("completion")
    described = _completion.described(_parser())
    for shell, write in _completion.SHELLS.items():
        (folder / f"npgrad.{shell}").write_text(write(described))
    (folder / "my photo.png").touch()
    (folder / "kitten.jpg").touch()
    (folder / "results").mkdir()
    return folder


def bash(folder, *lines):
    """What bash offers for each line, whose last word is being typed."""
    calls = "\n".join(
        f'COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _npgrad; (IFS=\\|; echo "${{COMPREPLY[*]}}")'
        for line in lines
    )
    return _offered("bash", folder, f"source ./npgrad.bash\n{calls}", lines, "--norc")


def fish(folder, *lines):
    calls = "\n".join(
        f"set -l found (complete -C '{line}' | string split -f1 \\t); echo (string join -- '|' $found)"
        for line in lines
    )
    return _offered("fish", folder, f"source ./npgrad.fish\n{calls}", lines, "--no-config")


def _offered(shell, folder, script, lines, *options):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [shell, *options, "-c", script], cwd=folder, capture_output=True, text=True, timeout=60,
        env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    found = done.stdout.split("\n")[:-1]
    assert len(found) == len(lines), done.stdout
    return [[one for one in line.split("|") if one] for line in found]


LINES = {
    "npgrad cl": ["classify"],
    "npgrad -q attr": ["attribute"],
    "npgrad attribute --method grad_cam_p": ["grad_cam_plus_plus"],
    "npgrad attribute kitten.jpg --method lrp,grad_cam_p": ["lrp,grad_cam_plus_plus"],
    "npgrad evaluate --methods lrp,occ": ["lrp,occlusion"],
    "npgrad classify x.jpg --top": ["--top"],
    "npgrad fool x.png --meth": ["--method"],
    "npgrad weights sh": ["show"],
    "npgrad weights get squeezenet1_0_": ["squeezenet1_0_deep_compression"],
    "npgrad layers --arch squeezenet1_1": ["squeezenet1_1"],
    "npgrad classify x.jpg --weights squeezenet1_0_": ["squeezenet1_0_deep_compression"],
    "npgrad completion z": ["zsh"],
    "npgrad style a.png b.png --preset the": ["the_scream"],
    "npgrad visualize --method fou": ["fourier"],
    "npgrad attribute --sign pos": ["positive"],
    "npgrad compare --snippet ja": ["jax"],
    "npgrad attribute --colormap vir": ["viridis"],
}


@pytest.mark.parametrize("shell", [bash, fish])
def test_what_is_offered(scripts, shell):
    for line, found in zip(LINES, shell(scripts, *LINES), strict=True):
        assert found == LINES[line], line


def test_everything_at_once(scripts):
    commands, methods, networks, options, none = bash(
        scripts, "npgrad ''", "npgrad attribute --method ''", "npgrad layers --arch ''", "npgrad certify --",
        "npgrad attribute --n-steps ''",
    )  # fmt: skip
    assert commands[: len(COMMANDS)] == list(COMMANDS)
    assert methods == ["all", *METHODS] and networks == list(ARCHITECTURES) and none == []
    own = _parser().of_commands["certify"]
    assert options == [flag for action in own._actions for flag in action.option_strings if flag[:2] == "--"]


def test_files_of_fish(scripts):
    found = fish(scripts, "npgrad attribute kit", "npgrad style kitten.jpg my", "npgrad notebooks res")
    assert found == [["kitten.jpg"], ["my photo.png"], ["results/"]]


def test_the_value_after_an_equals_sign(scripts):
    """bash splits there."""
    assert bash(scripts, "npgrad attribute --method = grad_cam_p", "npgrad attribute --sign =") == [
        ["grad_cam_plus_plus"], ["absolute", "positive", "signed"],
    ]  # fmt: skip


def typed(shell, folder, text, *options):
    """The screen after a line was typed in an interactive shell, each tab answered."""
    pty = pytest.importorskip("pty")
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    import fcntl
    import select
    import struct
    import termios
    import time

    pid, master = pty.fork()
    if not pid:
        os.chdir(folder)
        os.environ.update(HOME=str(folder), ZDOTDIR=str(folder), TERM="dumb", PS1="$ ")
        os.execlp(shell, shell, *options)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    seen = ""

    def wait(*words):
        nonlocal seen
        end = time.monotonic() + 60
        while time.monotonic() < end and not any(word in seen for word in words):
            if select.select([master], [], [], 0.2)[0]:
                try:
                    seen += os.read(master, 4096).decode(errors="replace")
                except OSError:
                    break

    try:
        wait("READY")
        for part, answer in text:
            os.write(master, part.encode())
            wait(answer)
    finally:
        os.close(master)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    shown = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|[\r\x07]", "", seen)
    return re.sub(r".\x08", "", shown)  # what was erased again


TYPED = [
    ("npgrad clas\t", "npgrad classify "),
    ("kit\t", "classify kitten.jpg "),
    ("--weights squeezenet1_0_\t", "--weights squeezenet1_0_deep_compression "),
]


def test_typed_in_bash(scripts):
    (scripts / "rc").write_text("source ./npgrad.bash; bind 'set enable-bracketed-paste off'; echo READY\n")
    seen = typed("bash", scripts, [*TYPED, ("my\t", "my\\ photo.png ")], "--rcfile", "rc", "-i")
    assert "npgrad classify kitten.jpg --weights squeezenet1_0_deep_compression my\\ photo.png" in seen


def test_typed_in_zsh(scripts):
    (scripts / ".zshrc").write_text(
        "PS1='% '; unsetopt PROMPT_SP; autoload -Uz compinit; compinit -u -d ./dump\n"
        "source ./npgrad.zsh; echo READY\n"
    )
    seen = typed("zsh", scripts, TYPED, "-i")
    assert "npgrad classify kitten.jpg --weights squeezenet1_0_deep_compression" in seen


def test_what_is_printed_is_the_script(run, scripts):
    for shell in ("bash", "zsh", "fish"):
        code, out, err = run("completion", shell)
        same = out == (scripts / f"npgrad.{shell}").read_text()  # no comparison of long texts if they differ
        assert (code, same, err) == (0, True, "")
    code, out, err = run("completion", "tcsh")
    assert (code, out, err.count("\n")) == (2, "", 1) and "expected one of 'bash', 'zsh', 'fish'" in err
