#!/usr/bin/env bash
# agent.sh HOST COMMAND… - stands in for ssh: runs the command in the network namespace whose address is HOST, under a host name of
# its own. HEDDLE_TEST_NAMESPACES says which is which: "10.77.31.1=nameA 10.77.31.2=nameB". With HEDDLE_TEST_HIDE_ON=nameB the folder
# HEDDLE_TEST_HIDE is empty on that host (a mount that only this process and its children see). With HEDDLE_TEST_OWN=FOLDER a host has
# /tmp and /dev/shm of its own, which are FOLDER/NAME/tmp and FOLDER/NAME/shm outside.
set -euo pipefail
while [ "${1:0:1}" = - ]; do shift; done # ssh's options
host=$1
shift
for pair in $HEDDLE_TEST_NAMESPACES; do
  if [ "${pair%%=*}" = "$host" ]; then
    name=${pair#*=}
    hide=:
    [ "${HEDDLE_TEST_HIDE_ON-}" != "$name" ] || hide="mount -t tmpfs tmpfs '$HEDDLE_TEST_HIDE'"
    [ -z "${HEDDLE_TEST_OWN-}" ] || hide="$hide; mount --bind $HEDDLE_TEST_OWN/$name/tmp /tmp; mount --bind $HEDDLE_TEST_OWN/$name/shm /dev/shm"
    # ssh hands no variables on. The processes of a host are its own; its first one waits for all of them.
    exec ip netns exec "$name" env -i PATH="$PATH" HOME="$HOME" unshare -u -m -p --fork --mount-proc \
      bash -c "hostname $name; $hide; $*; status=\$?; for round in {1..200}; do pgrep -x heddle-keeper >/dev/null || break; sleep 0.05; done; exit \$status"
  fi
done
echo "agent.sh: no namespace for $host" >&2
exit 1
