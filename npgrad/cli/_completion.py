"""What a shell can complete after `npgrad`, read from the parser, and the scripts of three shells."""

import re
import shlex
from typing import NamedTuple

_FILES = re.compile(r"FILE|OUT|IMAGE|PHOTO|CONTENT|STYLE|INPUT|RECORDING|NOTEBOOK")
_FOLDERS = re.compile(r"DIR|FOLDER")


class Values(NamedTuple):
    """What an argument may be. flags: its spellings, if it is an option. names: those to offer.

    files, folders: whether it may be one. several: names separated by commas. repeats: whether more may follow.
    """

    flags: tuple = ()
    text: str = ""
    takes: bool = True
    names: tuple = ()
    files: bool = False
    folders: bool = False
    several: bool = False
    repeats: bool = False


def described(parser):
    """{command: (its help, [Values of options], [Values of positional arguments])}; "" is the command line itself."""
    commands = {"": parser, **parser.of_commands}
    helps = {choice.dest: choice.help for action in parser._actions for choice in _choices(action)}
    found = {}
    for name, own in commands.items():
        values = [_values(action) for action in own._actions if action.dest != "command"]
        options = [one for one in values if one.flags]
        found[name] = helps.get(name, ""), options, [one for one in values if not one.flags]
    return found


def _choices(action):
    return getattr(action, "_choices_actions", ())


def _values(action):
    metavars = action.metavar if isinstance(action.metavar, str) else ""
    words = re.split(r"[|,]", metavars)
    offered = getattr(action, "offered", None)
    names = tuple(offered()) if offered else tuple(map(str, action.choices or ()))
    plain = tuple(word for word in words if re.fullmatch(r"[a-z][a-z0-9_-]*", word))
    return Values(
        tuple(action.option_strings),
        _sentence(action.help or ""),
        action.nargs != 0,
        tuple(dict.fromkeys((*plain, *names))),
        any(_FILES.search(word) for word in words),
        any(_FOLDERS.search(word) for word in words),
        getattr(action, "several", False),
        action.nargs in ("+", "*"),
    )


def _sentence(text):
    """The beginning of a help, for a menu: what is in parentheses or after a semicolon is left out."""
    short = re.split(r"; |: | \(|\. ", text)[0]
    return short if len(short) <= 60 else short[:60].rpartition(" ")[0]


def bash(commands):
    """The script for bash."""
    cases: dict[str, list[str]] = {}  # what is done: where; the same names are in the script once
    for name, (_, options, _) in commands.items():
        for one in options if name else ():
            if one.takes:
                cases.setdefault(_bash_action(one), []).extend(f"{name},{flag}" for flag in one.flags)
    lines = [f"        {'|'.join(where)}) {action} ;;" for action, where in cases.items()]
    for name, (_, options, positional) in commands.items():
        flags = " ".join(flag for one in options for flag in one.flags)
        places = {positional[0]: name, positional[-1]: "*"} if name and positional else {}
        for one, where in places.items():
            action = f"if [[ $cur == -?* ]]; then _npgrad_names '{flags}'; else {_bash_action(one)}; fi"
            lines.append(f"        {name},{where}) {action} ;;")
        if name and not positional:
            lines.append(f"        {name},*) _npgrad_names '{flags}' ;;")
    everywhere = [flag for one in commands[""][1] for flag in one.flags]
    names = " ".join([*(name for name in commands if name), "help", *everywhere])
    return BASH.format(names=names, cases="\n".join(lines))


def _bash_action(one):
    words = "'" + " ".join(one.names) + "'"
    if one.several:
        return f"_npgrad_list {words}"
    if one.names:
        return f"_npgrad_names {words}" + ("; _npgrad_files" if one.files or one.folders else "")
    return ":" if one.files else "_npgrad_folders" if one.folders else "_npgrad_none"


BASH = r"""# bash completion of npgrad, made by `npgrad completion bash`
_npgrad_names() {{ COMPREPLY+=($(compgen -W "$1" -- "$cur")); compopt +o default 2>/dev/null; }}
_npgrad_list() {{
    local before=
    [[ $cur == *,* ]] && before=${{cur%,*}},
    COMPREPLY+=($(compgen -P "$before" -W "$1" -- "${{cur##*,}}"))
    compopt +o default -o nospace 2>/dev/null
}}
_npgrad_files() {{ local IFS=$'\n'; COMPREPLY+=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null; }}
_npgrad_folders() {{ compopt +o default -o dirnames 2>/dev/null; }}
_npgrad_none() {{ compopt +o default 2>/dev/null; }}
_npgrad() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} command= i
    COMPREPLY=()
    if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${{COMP_WORDS[COMP_CWORD-2]}}; fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${{COMP_WORDS[i]}} == -* ]] || {{ command=${{COMP_WORDS[i]}}; break; }}
    done
    case $command,$prev in
        ,*|help,*) _npgrad_names '{names}' ;;
{cases}
    esac
    return 0
}}
complete -o default -F _npgrad npgrad
"""


def zsh(commands):
    """The script for zsh."""
    cases = []
    for name, (_, options, positional) in commands.items():
        if not name:
            continue
        lines = [_zsh_option(one) for one in options]
        lines += [
            f"'{'*' if one.repeats else number}:{_zsh_text(one.text)}:{_zsh_action(one)}'"
            for number, one in enumerate(positional, 1)
        ]
        joined = " \\\n            ".join(lines)
        cases.append(f"        {name})\n            _arguments \\\n            {joined} ;;")
    described = " ".join(shlex.quote(f"{name}:{text}") for name, (text, *_) in commands.items() if name)
    everywhere = " ".join(_zsh_option(one) for one in commands[""][1])
    return ZSH.format(described=described, everywhere=everywhere, cases="\n".join(cases))


def _zsh_text(text):
    return re.sub(r"([\[\]:\\])", r"\\\1", text).replace("'", "'\\''")


def _zsh_option(one):
    value = f":{one.flags[-1].lstrip('-')}:{_zsh_action(one)}" if one.takes else ""
    rest = f"'[{_zsh_text(one.text)}]{value}'"
    if len(one.flags) == 1:
        return one.flags[0] + rest
    return f"'({' '.join(one.flags)})'{{{','.join(one.flags)}}}{rest}"


def _zsh_action(one):
    names = " ".join(one.names)
    if one.several:
        return f"_values -s , name {names}"
    if one.names and (one.files or one.folders):
        return f" _npgrad_name_or_file {names}"
    return f"({names})" if names else "_files" if one.files else "_files -/" if one.folders else " "


ZSH = r"""#compdef npgrad
# zsh completion of npgrad, made by `npgrad completion zsh`
_npgrad_name_or_file() {{ _alternative "name:name:($*)" "file:file:_files" }}
_npgrad() {{
    local context state state_descr line
    typeset -A opt_args
    _arguments -C {everywhere} '1:command:->command' '*::argument:->argument'
    case $state in
    command)
        local -a commands=({described})
        _describe command commands ;;
    argument)
        case $words[1] in
{cases}
        esac ;;
    esac
}}
if [[ $funcstack[1] == _npgrad ]]; then _npgrad "$@"; else compdef _npgrad npgrad; fi
"""


def fish(commands):
    """The script for fish."""
    lines = ["# fish completion of npgrad, made by `npgrad completion fish`", "complete -c npgrad -f"]
    for name, (text, options, positional) in commands.items():
        seen = f"-n '__fish_seen_subcommand_from {name}'" if name else "-n __fish_use_subcommand"
        if name:
            lines.append(f"complete -c npgrad -n __fish_use_subcommand -a {name} -d {_fish_quoted(text)}")
        for one in options:
            flags = " ".join(
                f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in one.flags
            )
            value = _fish_values(one, "-r ") if one.takes else ""
            lines.append(f"complete -c npgrad {seen} {flags} {value}-d {_fish_quoted(one.text)}")
        first = " ".join(positional[0].names) if len(positional) > 1 else ""
        for number, one in enumerate(positional):
            place = f"; and {'' if number else 'not '}__fish_seen_subcommand_from {first}'" if first else "'"
            lines.append(f"complete -c npgrad {seen[:-1]}{place} {_fish_values(one)}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _fish_quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_values(one, required=""):
    words = " ".join(one.names)
    if one.several:
        command = f'printf "%s\\\\n" {words}'
        offered = f"-a '(__fish_complete_list , \\'{command}\\')' "
    else:
        offered = f"-a '{words}' " if words else ""
    return required + offered + ("-F " if one.files or one.folders else "-f ")


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
