# Sourced by the scripts that need the virtual environment. Sets $python and $cache, and puts
# the environment's commands on the PATH. Wants $here, the folder of the scripts.

installed=$("$here/install")
python=$(printf '%s\n' "$installed" | tail -n 1)
cache=$(printf '%s\n' "$installed" | head -n 1)

unset PYTHONHOME PYTHONPATH
PATH=$(dirname "$python"):$PATH
export PATH

case $cache in
    "$(dirname "$here")"/*) ;;
    # Another user's checkout: leave nothing in it.
    *) export PYTHONDONTWRITEBYTECODE=1 ;;
esac
