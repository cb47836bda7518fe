/* A disk that fails at a chosen call, for the processes that load this by LD_PRELOAD.
 *
 *   FAULTS_ROOT   calls count that concern a file or folder below this path (no final slash)
 *   FAULTS_KIND   none, enospc, eio, short or fsync: what happens at the call that is hit
 *   FAULTS_AT     number of that call, counted from 1 among those that this kind can hit
 *   FAULTS_LAST   1: every later call of those is hit too (a short write is then followed by ENOSPC)
 *   FAULTS_STATE  a file of at least 4096 zero bytes: the counter that all processes share, and what was hit
 *   FAULTS_LOG    a file to which every counted call, and every change outside FAULTS_ROOT, adds a line
 *
 * Environment variables are looked at until FAULTS_STATE is there, so a process may set them in a forked child.
 * Where a path lies is asked of the kernel (/proc/self/fd) at each call, so no descriptor is ever taken for another.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct state {
    atomic_long count;
    atomic_long struck;
    char what[2048];
};

enum kind { NONE, FULL, BROKEN, SHORT, SYNC };
enum act { WRITES, SYNCS, NAMES }; /* file content; fsync; names: open to create, mkdir, rename, truncate */

static struct state *shared;
static enum kind kind;
static long at;
static int lasting, log_handle = -1;
static char root[PATH_MAX];

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int ready(void) {
    if (shared) return 1;
    const char *path = getenv("FAULTS_STATE"), *below = getenv("FAULTS_ROOT");
    if (!path || !below) return 0;
    int saved = errno;
    const char *name = getenv("FAULTS_KIND"), *number = getenv("FAULTS_AT"), *log = getenv("FAULTS_LOG");
    kind = !name ? NONE : !strcmp(name, "enospc") ? FULL : !strcmp(name, "eio") ? BROKEN
         : !strcmp(name, "short") ? SHORT : !strcmp(name, "fsync") ? SYNC : NONE;
    at = number ? atol(number) : 0;
    lasting = getenv("FAULTS_LAST") != NULL;
    snprintf(root, sizeof root, "%s", below);
    if (log) log_handle = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int handle = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (handle < 0) { static const char told[] = "faults.c: no FAULTS_STATE\n"; syscall(SYS_write, 2, told, sizeof told - 1); _exit(99); }
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    syscall(SYS_close, handle);
    if (map == MAP_FAILED) _exit(99);
    shared = map;
    errno = saved;
    return 1;
}

static void note(char mark, const char *call, const char *path) {
    if (log_handle < 0) return;
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%c %s %s\n", mark, call, path);
    if (length > 0) syscall(SYS_write, log_handle, line, (size_t)length);
}

static int is_below(const char *path) {
    size_t length = strlen(root);
    return !strncmp(path, root, length) && (path[length] == '/' || path[length] == 0);
}

/* Path of a descriptor, or 0. */
static int path_of(int handle, char *path) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(name, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return path[0] == '/';
}

/* Absolute path of a name that may not exist yet: its folder as the kernel knows it, and its last part. */
static int path_at(int folder, const char *name, char *path) {
    char parent[PATH_MAX];
    if (!name || strlen(name) >= PATH_MAX) return 0;
    strcpy(parent, name);
    char *slash = strrchr(parent, '/');
    const char *last = slash ? name + (slash - parent) + 1 : name;
    if (slash == parent) strcpy(parent, "/"); else if (slash) *slash = 0; else strcpy(parent, ".");
    int handle = (int)syscall(SYS_openat, folder, parent, O_PATH | O_CLOEXEC, 0);
    if (handle < 0) return 0;
    int found = path_of(handle, path);
    syscall(SYS_close, handle);
    size_t length = strlen(path);
    if (!found || length + strlen(last) + 2 > PATH_MAX) return 0;
    if (length > 1) strcat(path, "/");
    strcat(path, last);
    return 1;
}

/* Count a call that changes the disk. 0: let it happen; otherwise the error to fail with, or -1 for a short write. */
static int hit(enum act act, const char *call, const char *path) {
    if (!is_below(path)) {
        if (act == NAMES && strncmp(path, "/dev/", 5) && strncmp(path, "/proc/", 6)) note('!', call, path);
        return 0;
    }
    note('.', call, path);
    if (kind == SYNC ? act != SYNCS : kind == SHORT ? act != WRITES : kind == FULL && act == SYNCS) return 0;
    long number = atomic_fetch_add(&shared->count, 1) + 1;
    if (at <= 0 || (lasting ? number < at : number != at)) return 0;
    if (atomic_fetch_add(&shared->struck, 1) == 0) snprintf(shared->what, sizeof shared->what, "%s %s", call, path);
    switch (kind) {
    case FULL: return ENOSPC;
    case BROKEN: case SYNC: return EIO;
    case SHORT: return number == at ? -1 : ENOSPC;
    default: return 0;
    }
}

static int hit_handle(enum act act, const char *call, int handle) {
    char path[PATH_MAX];
    int saved = errno;
    int found = ready() && path_of(handle, path) ? hit(act, call, path) : 0;
    errno = saved;
    return found;
}

static int hit_name(const char *call, int folder, const char *name) {
    char path[PATH_MAX];
    int saved = errno;
    int found = ready() && path_at(folder, name, path) ? hit(NAMES, call, path) : 0;
    errno = saved;
    return found < 0 ? 0 : found;
}

#define FAIL(found) do { int error_ = (found); if (error_ > 0) { errno = error_; return -1; } } while (0)
#define HALF(size) ((size) > 1 ? (size) / 2 : (size))

ssize_t write(int handle, const void *bytes, size_t size) {
    REAL(write);
    int found = hit_handle(WRITES, "write", handle);
    FAIL(found);
    return real(handle, bytes, found ? HALF(size) : size);
}

ssize_t pwrite(int handle, const void *bytes, size_t size, off_t where) {
    REAL(pwrite);
    int found = hit_handle(WRITES, "pwrite", handle);
    FAIL(found);
    return real(handle, bytes, found ? HALF(size) : size, where);
}

ssize_t pwrite64(int handle, const void *bytes, size_t size, off64_t where) {
    REAL(pwrite64);
    int found = hit_handle(WRITES, "pwrite", handle);
    FAIL(found);
    return real(handle, bytes, found ? HALF(size) : size, where);
}

ssize_t writev(int handle, const struct iovec *parts, int count) {
    REAL(writev);
    int found = hit_handle(WRITES, "writev", handle);
    FAIL(found);
    return real(handle, parts, found && count > 1 ? count / 2 : count);
}

ssize_t pwritev(int handle, const struct iovec *parts, int count, off_t where) {
    REAL(pwritev);
    int found = hit_handle(WRITES, "pwritev", handle);
    FAIL(found);
    return real(handle, parts, found && count > 1 ? count / 2 : count, where);
}

/* The C library writes its own buffers without asking us, so a stream fails where it is handed the bytes. */
size_t fwrite(const void *bytes, size_t size, size_t count, FILE *stream) {
    REAL(fwrite);
    int found = hit_handle(WRITES, "fwrite", fileno(stream));
    if (found > 0) { errno = found; return 0; }
    if (found < 0 && count > 1) { size_t done = real(bytes, size, count / 2, stream); errno = ENOSPC; return done; }
    return real(bytes, size, count, stream);
}

int fsync(int handle) {
    REAL(fsync);
    FAIL(hit_handle(SYNCS, "fsync", handle));
    return real(handle);
}

int fdatasync(int handle) {
    REAL(fdatasync);
    FAIL(hit_handle(SYNCS, "fdatasync", handle));
    return real(handle);
}

int ftruncate(int handle, off_t size) {
    REAL(ftruncate);
    FAIL(hit_handle(NAMES, "ftruncate", handle));
    return real(handle, size);
}

int ftruncate64(int handle, off64_t size) {
    REAL(ftruncate64);
    FAIL(hit_handle(NAMES, "ftruncate", handle));
    return real(handle, size);
}

int fallocate(int handle, int mode, off_t from, off_t size) {
    REAL(fallocate);
    FAIL(hit_handle(NAMES, "fallocate", handle));
    return real(handle, mode, from, size);
}

int fallocate64(int handle, int mode, off64_t from, off64_t size) {
    REAL(fallocate64);
    FAIL(hit_handle(NAMES, "fallocate", handle));
    return real(handle, mode, from, size);
}

int posix_fallocate(int handle, off_t from, off_t size) {
    REAL(posix_fallocate);
    int found = hit_handle(NAMES, "fallocate", handle);
    return found > 0 ? found : real(handle, from, size);
}

#define CHANGES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))
#define MODE(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list more; va_start(more, last); mode = (mode_t)va_arg(more, int); va_end(more); }

int open(const char *name, int flags, ...) {
    REAL(open);
    MODE(flags, flags);
    if (CHANGES(flags)) FAIL(hit_name("open", AT_FDCWD, name));
    return real(name, flags, mode);
}

int open64(const char *name, int flags, ...) {
    REAL(open64);
    MODE(flags, flags);
    if (CHANGES(flags)) FAIL(hit_name("open", AT_FDCWD, name));
    return real(name, flags, mode);
}

int openat(int folder, const char *name, int flags, ...) {
    REAL(openat);
    MODE(flags, flags);
    if (CHANGES(flags)) FAIL(hit_name("open", folder, name));
    return real(folder, name, flags, mode);
}

int openat64(int folder, const char *name, int flags, ...) {
    REAL(openat64);
    MODE(flags, flags);
    if (CHANGES(flags)) FAIL(hit_name("open", folder, name));
    return real(folder, name, flags, mode);
}

FILE *fopen(const char *name, const char *mode) {
    REAL(fopen);
    int found = strpbrk(mode, "wa+") ? hit_name("open", AT_FDCWD, name) : 0;
    if (found > 0) { errno = found; return NULL; }
    return real(name, mode);
}

FILE *fopen64(const char *name, const char *mode) {
    REAL(fopen64);
    int found = strpbrk(mode, "wa+") ? hit_name("open", AT_FDCWD, name) : 0;
    if (found > 0) { errno = found; return NULL; }
    return real(name, mode);
}

int mkdir(const char *name, mode_t mode) {
    REAL(mkdir);
    FAIL(hit_name("mkdir", AT_FDCWD, name));
    return real(name, mode);
}

int mkdirat(int folder, const char *name, mode_t mode) {
    REAL(mkdirat);
    FAIL(hit_name("mkdir", folder, name));
    return real(folder, name, mode);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    FAIL(hit_name("rename", AT_FDCWD, to));
    return real(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    REAL(renameat);
    FAIL(hit_name("rename", to_folder, to));
    return real(from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags) {
    REAL(renameat2);
    FAIL(hit_name("rename", to_folder, to));
    return real(from_folder, from, to_folder, to, flags);
}

/* Deleting works on any disk; outside the root it is noted. */
static void removed(const char *call, int folder, const char *name) {
    char path[PATH_MAX];
    int saved = errno;
    if (ready() && path_at(folder, name, path) && !is_below(path)) note('!', call, path);
    errno = saved;
}

int unlink(const char *name) {
    REAL(unlink);
    removed("unlink", AT_FDCWD, name);
    return real(name);
}

int unlinkat(int folder, const char *name, int flags) {
    REAL(unlinkat);
    removed("unlink", folder, name);
    return real(folder, name, flags);
}

int rmdir(const char *name) {
    REAL(rmdir);
    removed("rmdir", AT_FDCWD, name);
    return real(name);
}
