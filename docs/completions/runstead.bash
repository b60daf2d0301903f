# bash completion for runstead(8)
_runstead() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    case $prev in
    --root | --units) COMPREPLY=($(compgen -d -- "$cur")) && return ;;
    --for) COMPREPLY=($(compgen -W '5s 30s 2min' -- "$cur")) && return ;;
    --exec) COMPREPLY=($(compgen -c -- "$cur")) && return ;;
    example) COMPREPLY=($(compgen -W 'http notify forking tick touch say crash' -- "$cur")) && return ;;
    esac
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W 'boot install uninstall rundir carry pidfile tmpfiles user-runtime-dir logind sh example help version' -- "$cur"))
    elif [[ ${COMP_WORDS[1]} == boot ]]; then
        COMPREPLY=($(compgen -W '--root --units --exec --for --json' -- "$cur"))
    elif [[ ${COMP_WORDS[1]} == install ]]; then
        COMPREPLY=($(compgen -W '--root --dry-run --status --json --help' -- "$cur"))
    elif [[ ${COMP_WORDS[1]} == rundir ]]; then
        COMPREPLY=($(compgen -W 'tree check top --depth --all --root --interval --once --json --help' -- "$cur"))
    elif [[ ${COMP_WORDS[1]} == pidfile ]]; then
        if ((COMP_CWORD == 2)); then
            COMPREPLY=($(compgen -W 'read check write run --help' -- "$cur"))
        else
            COMPREPLY=($(compgen -f -- "$cur"))
        fi
    elif [[ ${COMP_WORDS[1]} == tmpfiles ]]; then
        if [[ $cur == -* ]]; then
            COMPREPLY=($(compgen -W '--create --clean --remove --purge --cat-config --tldr --boot --user --graceful --dry-run
                --prefix= --exclude-prefix= -E --root --replace= --no-pager --help --version' -- "$cur"))
        else
            COMPREPLY=($(compgen -f -- "$cur"))
        fi
    elif [[ ${COMP_WORDS[1]} == carry ]]; then
        COMPREPLY=($(compgen -W 'list save restore --json --help' -- "$cur"))
    elif [[ ${COMP_WORDS[1]} == uninstall ]]; then
        COMPREPLY=($(compgen -W '--root --dry-run --json --help' -- "$cur"))
    fi
}
complete -F _runstead runstead
