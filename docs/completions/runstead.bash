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
        COMPREPLY=($(compgen -W 'boot example help version' -- "$cur"))
    elif [[ ${COMP_WORDS[1]} == boot ]]; then
        COMPREPLY=($(compgen -W '--root --units --exec --for --json' -- "$cur"))
    fi
}
complete -F _runstead runstead
