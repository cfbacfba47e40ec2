# bash completion for pgsinkd(8). Commands, options and words come from the program's own --help, so that they are those
# of the version that is installed.
# shellcheck shell=bash

_pgsinkd() {
    local program=$1 word=$2 previous=$3 command=${COMP_WORDS[1]-}
    COMPREPLY=()

    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z-]*\) .*/\1/p')
            help --help --version" -- "$word")
        return
    fi
    if [ "$command" = help ]; then
        [ "$COMP_CWORD" = 2 ] && mapfile -t COMPREPLY < <(compgen -W "$("$program" --help 2>/dev/null |
            sed -n 's/^  \([a-z-]*\) .*/\1/p')" -- "$word")
        return
    fi

    case $previous in
    -c | --config)
        [ -n "$word" ] || mapfile -t COMPREPLY < <(compgen -G '/etc/pgsinkd/*.yaml')
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -X '!*.y*ml' -- "$word"; compgen -d -- "$word")
        compopt -o filenames
        return
        ;;
    # What follows these only the user knows.
    --timeout | --sample | --route | --topic | --partition | --offset | --sqlstate | --since | --until | --limit | --content | --from | --to | --from-group) return ;;
    esac

    local help file=
    help=$("$program" "$command" --help 2>/dev/null) || return
    case $help in *'-c FILE'*) file='-c --config' ;; esac
    case $word in
    -*)
        mapfile -t COMPREPLY < <(compgen -W "$(grep -oE -- '--[a-z][a-z-]*' <<<"$help" | sort -u) --help $file" -- "$word")
        ;;
    *) # list, show, replay, discard; the description of an option does not begin so
        if [ "$COMP_CWORD" = 2 ]; then
            mapfile -t COMPREPLY < <(compgen -W "$(sed -n 's/^  \([a-z]\{1,\}\)  .*/\1/p' <<<"$help")" -- "$word")
        fi
        ;;
    esac
} && complete -F _pgsinkd pgsinkd
