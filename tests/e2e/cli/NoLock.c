/* NoLock.c - a file system without locks: preloaded, it makes flock fail as some NFS and Lustre mounts and FUSE do. */
#include <errno.h>
#include <stdlib.h>

__attribute__((visibility("default"))) int flock(int descriptor, int operation);
int flock(int descriptor, int operation) {
  const char *number = getenv("NOLOCK_ERRNO");
  (void)descriptor;
  (void)operation;
  errno = number ? atoi(number) : ENOLCK;
  return -1;
}
