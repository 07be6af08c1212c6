//go:build cgo && linux

// A PJRT plugin is a table of functions. This puts one of eligen's in the place of
// PJRT_Client_Compile: it looks for the program among those that were compiled before, and keeps
// those that weren't. Tables only grow at their end within a major version of PJRT, and so do
// arguments; the few that are needed are described here, and a test holds them to go-xla's header.

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "_cgo_export.h"

typedef struct { size_t size; void *extension; } head;
typedef struct { head h; char *code; size_t code_size; const char *format; size_t format_size; } program;
typedef struct { head h; void *client; const program *program; const char *options; size_t options_size; void *loaded; } compile_args;
typedef struct { head h; void *loaded; void *executable; } get_args;
typedef struct {
  head h; const void *executable; const char *bytes; size_t bytes_size; void *backing; void (*free_backing)(void *);
} serialize_args;
typedef struct {
  head h; void *client; const char *bytes; size_t bytes_size; void *loaded; const char *options; size_t options_size;
} load_args;
typedef struct { head h; void *which; } destroy_args;
typedef void *call(void *args);
typedef struct { head h; head version; int major, minor; call *call[]; } table;

enum { ERROR_DESTROY = 0, CLIENT_COMPILE = 20, EXECUTABLE_DESTROY = 40, SERIALIZE = 49, GET_EXECUTABLE = 51, LOAD = 56 };

static table *api;
static call *compile; // the plugin's own

// forget frees an error of something that need not succeed, and reports whether there was one.
static int forget(void *error) {
  if (!error) return 0;
  destroy_args a = {{sizeof a}, error};
  api->call[ERROR_DESTROY](&a);
  return 1;
}

static void keep(void *loaded, char *key) {
  get_args g = {{sizeof g}, loaded};
  if (forget(api->call[GET_EXECUTABLE](&g))) return;
  serialize_args s = {{sizeof s}, g.executable};
  if (!forget(api->call[SERIALIZE](&s))) {
    eligenKeepProgram(key, (char *)s.bytes, s.bytes_size);
    if (s.free_backing) s.free_backing(s.backing);
  }
  destroy_args d = {{sizeof d}, g.executable};
  forget(api->call[EXECUTABLE_DESTROY](&d));
}

static void *find_or_compile(void *args) {
  compile_args *a = args;
  char key[32];
  size_t size = 0;
  char *found = eligenFindProgram(a->program->code, a->program->code_size, (char *)a->options, a->options_size, key, &size);
  if (found) {
    load_args l = {{sizeof l}, a->client, found, size};
    void *error = api->call[LOAD](&l);
    free(found);
    if (!forget(error)) {
      a->loaded = l.loaded;
      return NULL;
    }
  }
  void *error = compile(args);
  if (!error) keep(a->loaded, key);
  return error;
}

// eligen_keep_programs has the plugin at a path look for programs before it compiles them. It
// returns 0 where that can't be.
int eligen_keep_programs(const char *path) {
  void *library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
  if (!library) return 0;
  table *(*get)(void) = (table * (*)(void)) dlsym(library, "GetPjrtApi");
  table *t = get ? get() : NULL;
  if (api) return t == api; // one plugin in a process
  if (!t || t->major != 0 || t->h.size < offsetof(table, call) + (LOAD + 1) * sizeof(call *)) return 0;
  if (!t->call[SERIALIZE] || !t->call[LOAD]) return 0;
  uintptr_t page = sysconf(_SC_PAGESIZE), at = (uintptr_t)&t->call[CLIENT_COMPILE] & ~(page - 1);
  if (mprotect((void *)at, page, PROT_READ | PROT_WRITE)) return 0;
  api = t;
  compile = t->call[CLIENT_COMPILE];
  t->call[CLIENT_COMPILE] = find_or_compile;
  return 1;
}
