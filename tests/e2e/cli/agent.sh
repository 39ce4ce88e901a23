#!/usr/bin/env bash
# agent.sh HOST COMMAND… - stands in for ssh: runs the command in the network namespace whose address is HOST, under a host name of
# its own. HEDDLE_TEST_NAMESPACES says which is which: "10.77.31.1=nameA 10.77.31.2=nameB". With HEDDLE_TEST_HIDE_ON=nameB the folder
# HEDDLE_TEST_HIDE is empty on that host (a mount that only this process and its children see).
set -euo pipefail
while [ "${1:0:1}" = - ]; do shift; done # ssh's options
host=$1
shift
for pair in $HEDDLE_TEST_NAMESPACES; do
  if [ "${pair%%=*}" = "$host" ]; then
    name=${pair#*=}
    hide=:
    [ "${HEDDLE_TEST_HIDE_ON-}" != "$name" ] || hide="mount -t tmpfs tmpfs '$HEDDLE_TEST_HIDE'"
    exec ip netns exec "$name" unshare -u -m bash -c "hostname $name; $hide; $*"
  fi
done
echo "agent.sh: no namespace for $host" >&2
exit 1
