/* NoLock.c - a poor file system: preloaded, it makes flock fail as some NFS and Lustre mounts and FUSE do, and files without a
 * name, which NFS and FUSE have not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>

__attribute__((visibility("default"))) int flock(int descriptor, int operation);
int flock(int descriptor, int operation) {
  const char *number = getenv("NOLOCK_ERRNO");
  (void)descriptor;
  (void)operation;
  errno = number ? atoi(number) : ENOLCK;
  return -1;
}

static int openNamed(const char *function, const char *path, int flags, unsigned mode) {
  int (*real)(const char *, int, ...);
  *(void **)&real = dlsym(RTLD_NEXT, function);
  if ((flags & O_TMPFILE) == O_TMPFILE) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return real(path, flags, mode);
}

__attribute__((visibility("default"))) int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  unsigned mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, unsigned) : 0;
  va_end(rest);
  return openNamed("open", path, flags, mode);
}

__attribute__((visibility("default"))) int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  unsigned mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, unsigned) : 0;
  va_end(rest);
  return openNamed("open64", path, flags, mode);
}
