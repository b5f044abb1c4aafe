# What installing and packing share: names, and putting files where they belong. To be sourced, from
# the root of the repository. Before it puts anything these are to be set:
#
#   prefix, libdir, includedir   absolute, as programs will see them
#   root                         what stands before all of them while files are written
#
# shellcheck shell=bash disable=SC2034,SC2154

# Whoever installs may keep new files to themselves; what is installed is for everybody.
umask 022

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# What the ABI is called; the same rule as in build.rs.
IFS=. read -r abi minor _ <<<"$version"
if [ "$abi" = 0 ]; then
    abi=0.$minor
fi

# The names of the library, and what the static one needs of the system beyond what every C compiler
# links by itself: rustc --print native-static-libs, without libc and libgcc_s.
case $(uname -s) in
    Linux)
        real_name=libsession_locker.so.$version
        soname=libsession_locker.so.$abi
        link_name=libsession_locker.so
        imported_soname=$soname
        system_libraries=(util rt pthread m dl)
        platform=linux-$(uname -m)
        ;;
    Darwin)
        real_name=libsession_locker.$version.dylib
        soname=libsession_locker.$abi.dylib
        link_name=libsession_locker.dylib
        imported_soname=@rpath/$soname
        system_libraries=(m)
        platform=macos-$(uname -m | sed 's/^arm64$/aarch64/')
        ;;
    *)
        echo "installing is for Linux and macOS; docs/install.md has a word on other systems" >&2
        exit 1
        ;;
esac

# absolute PATH
absolute() {
    local path=$1
    case $path in
        /*) ;;
        *) path=$PWD/$path ;;
    esac
    while [[ $path == *//* ]]; do
        path=${path//\/\///}
    done
    printf '%s\n' "${path%/}"
}

# What was put, in order: files, and folders with a slash at their end.
installed=()

# make_folder PATH
make_folder() {
    if [ ! -d "$root$1" ]; then
        make_folder "$(dirname "$1")"
        mkdir "$root$1"
        installed+=("$1/")
    fi
}

# put MODE SOURCE DESTINATION
put() {
    make_folder "$(dirname "$3")"
    install -m "$1" "$2" "$root$3"
    installed+=("$3")
}

# put_link TARGET DESTINATION
put_link() {
    make_folder "$(dirname "$2")"
    ln -sf "$1" "$root$2"
    installed+=("$2")
}

# put_folder SOURCE DESTINATION: every file in it but what a build or an editor leaves there.
put_folder() {
    local file mode
    [ -d "$1" ] || return 0
    while IFS= read -r file; do
        mode=644
        if [ -x "$1/$file" ]; then
            mode=755
        fi
        put "$mode" "$1/$file" "$2/$file"
    done < <(cd "$1" && find . \( -name bin -o -name obj -o -name '.?*' \) -prune -o -type f -print \
        | sed 's|^\./||' | LC_ALL=C sort)
}

# named PATH FOLDER HERE: how a file in FOLDER names PATH, where HERE stands for FOLDER in its language.
# If both are in the prefix that is by way of HERE, so that the prefix can be moved.
named() {
    local path=$1 way=$3 rest
    for rest in "$1" "$2"; do
        case $rest/ in
            "$prefix"/*) ;;
            *)
                printf '%s\n' "$path"
                return
                ;;
        esac
    done
    # One step up for each folder between FOLDER and the prefix.
    rest=${2#"$prefix"}
    while [ -n "$rest" ]; do
        way=$way/..
        rest=${rest%/*}
    done
    printf '%s\n' "$way${path#"$prefix"}"
}

# joined SEPARATOR WORD...
joined() {
    local IFS=$1
    shift
    printf '%s\n' "$*"
}

# fill TEMPLATE DESTINATION HERE: puts a template with names and places filled in; HERE as above.
fill() {
    local place filled
    place=$(dirname "$2")
    filled=$(mktemp)
    # CMake's versions are numbers only, and it finds threads by itself.
    replaced "$1" \
        VERSION "$version" \
        CMAKE_VERSION "${version%%[-+]*}" \
        PREFIX "$(named "$prefix" "$place" "$3")" \
        LIBDIR "$(named "$libdir" "$place" "$3")" \
        INCLUDEDIR "$(named "$includedir" "$place" "$3")" \
        REAL_NAME "$real_name" \
        SONAME "$imported_soname" \
        LIBS "$(joined ' ' "${system_libraries[@]/#/-l}")" \
        CMAKE_LIBS "$(joined ';' "${system_libraries[@]/pthread/Threads::Threads}")" >"$filled"
    put 644 "$filled" "$2"
    rm "$filled"
}

# replaced TEMPLATE NAME VALUE...
replaced() {
    local template=$1 value
    local script=()
    shift
    while [ $# -gt 0 ]; do
        # What means something in a replacement of sed's.
        value=$(printf '%s' "$2" | sed 's/[&|\\]/\\&/g')
        script+=(-e "s|@$1@|$value|g")
        shift 2
    done
    sed "${script[@]}" "$template"
}

# put_development LIBRARIES: what a compiler and a linker look for.
put_development() {
    put 644 include/session_locker.h "$includedir/session_locker.h"
    local header
    for header in bindings/cpp/*.hpp; do
        [ ! -f "$header" ] || put 644 "$header" "$includedir/$(basename "$header")"
    done
    put_folder bindings/cpp/session_locker "$includedir/session_locker"

    put 755 "$1/$soname" "$libdir/$real_name"
    put_link "$real_name" "$libdir/$soname"
    put_link "$soname" "$libdir/$link_name"
    put 644 "$1/libsession_locker.a" "$libdir/libsession_locker.a"

    fill packaging/session_locker.pc.in "$libdir/pkgconfig/session_locker.pc" "\${pcfiledir}"
    local name
    for name in session_lockerConfig session_lockerConfigVersion; do
        fill "packaging/$name.cmake.in" "$libdir/cmake/session_locker/$name.cmake" "\${_session_locker_here}"
    done
}
