"""Print a script with which a shell completes commands, options, names (methods, networks, presets) and files.

bash  source <(npgrad completion bash)                        in ~/.bashrc, for every new shell
zsh   source <(npgrad completion zsh)                         in ~/.zshrc, after compinit
fish  npgrad completion fish | source                         in ~/.config/fish/config.fish

Starting npgrad takes a moment; a file that is written once is read faster, such as
npgrad completion bash > ~/.local/share/bash-completion/completions/npgrad."""

HELP = "script that completes commands, options, names and files in a shell"
SHELLS = ("bash", "zsh", "fish")  # as in npgrad.cli._completion, which is imported when it is needed
EXAMPLES = """examples:
  npgrad completion bash
  npgrad completion zsh"""


def add_arguments(parser):
    parser.add_argument("shell", choices=SHELLS, metavar="|".join(SHELLS), help="name of the shell")


def run(args):
    from npgrad.cli import _completion

    print(_completion.SHELLS[args.shell](_completion.described(args.parser)), end="")
