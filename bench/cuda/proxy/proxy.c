/* A PJRT plugin that compiles and runs nothing: it looks to its client like the CPU's, and each program
 * that the client compiles goes to the CUDA plugin, for a card that is described and not there. What that
 * says of the program is a line in a log. The client then gets an error: nothing is to run.
 *
 * Built under a name with "cuda" in it, so that go-xla makes the graphs that it makes for CUDA. By
 * environment: PROXY_CPU and PROXY_CUDA, the two plugins; PROXY_CARD, a GpuTargetConfigProto as text;
 * PROXY_LOG, a file to append to.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pjrt_c_api.h"

static PJRT_Api table;
static const PJRT_Api *cpu, *cuda;
static PJRT_TopologyDescription *card;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void give_up(const char *what, const char *why) {
  fprintf(stderr, "proxy: %s: %s\n", what, why);
  abort();
}

static const char *need(const char *name) {
  const char *value = getenv(name);
  if (value == NULL || *value == 0) give_up(name, "is not set");
  return value;
}

static const PJRT_Api *load(const char *name) {
  void *library = dlopen(need(name), RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) give_up(name, dlerror());
  const PJRT_Api *(*get)(void) = (const PJRT_Api *(*)(void))dlsym(library, "GetPjrtApi");
  if (get == NULL) give_up(name, "it is no PJRT plugin");
  return get();
}

static char *message(PJRT_Error *error) {
  PJRT_Error_Message_Args args = {.struct_size = PJRT_Error_Message_Args_STRUCT_SIZE, .error = error};
  cuda->PJRT_Error_Message(&args);
  char *text = strndup(args.message, args.message_size);
  for (char *c = text; *c != 0; c++)
    if (*c == '\n') *c = ' ';
  return text;
}

static PJRT_NamedValue option(const char *name, const char *value) {
  PJRT_NamedValue o = {.struct_size = PJRT_NamedValue_STRUCT_SIZE,
                       .name = name,
                       .name_size = strlen(name),
                       .type = PJRT_NamedValue_kString,
                       .value_size = strlen(value)};
  o.string_value = value;
  return o;
}

static void describe_card(void) {
  static char text[1 << 16];
  FILE *file = fopen(need("PROXY_CARD"), "rb");
  if (file == NULL) give_up("PROXY_CARD", "it can't be read");
  fread(text, 1, sizeof text - 1, file);
  fclose(file);
  PJRT_NamedValue options[] = {option("target_config", text), option("topology", "1x1x1")};
  PJRT_TopologyDescription_Create_Args args = {.struct_size = PJRT_TopologyDescription_Create_Args_STRUCT_SIZE,
                                               .topology_name = "",
                                               .create_options = options,
                                               .num_options = 2};
  PJRT_Error *error = cuda->PJRT_TopologyDescription_Create(&args);
  if (error != NULL) give_up("the card", message(error));
  card = args.topology;
}

static void name_of(const PJRT_Program *program, char *name, size_t size) {
  const char *at = NULL, *word = "module @";
  for (size_t i = 0; i + strlen(word) < program->code_size && i < 4096; i++)
    if (memcmp(program->code + i, word, strlen(word)) == 0) {
      at = program->code + i + strlen(word);
      break;
    }
  size_t n = 0;
  while (at != NULL && n + 1 < size && at[n] != ' ' && at[n] != '{' && at[n] != 0) n++;
  memcpy(name, n > 0 ? at : "?", n > 0 ? n : 1);
  name[n > 0 ? n : 1] = 0;
}

static PJRT_Error *compile(PJRT_Client_Compile_Args *args) {
  /* CompileOptionsProto { executable_build_options { num_replicas: 1 num_partitions: 1 } } */
  static const char one[] = {0x1a, 0x04, 0x20, 0x01, 0x28, 0x01};
  PJRT_Compile_Args there = {.struct_size = PJRT_Compile_Args_STRUCT_SIZE,
                             .topology = card,
                             .program = args->program,
                             .compile_options = one,
                             .compile_options_size = sizeof one};
  char name[200];
  name_of(args->program, name, sizeof name);
  pthread_mutex_lock(&turn);
  PJRT_Error *error = cuda->PJRT_Compile(&there);
  FILE *log = fopen(need("PROXY_LOG"), "a");
  if (log == NULL) give_up("PROXY_LOG", "it can't be written");
  if (error != NULL) {
    fprintf(log, "%s\tfailed\t%s\n", name, message(error));
  } else {
    PJRT_Executable_GetCompiledMemoryStats_Args memory = {
        .struct_size = PJRT_Executable_GetCompiledMemoryStats_Args_STRUCT_SIZE, .executable = there.executable};
    error = cuda->PJRT_Executable_GetCompiledMemoryStats(&memory);
    if (error != NULL)
      fprintf(log, "%s\tfailed\t%s\n", name, message(error));
    else
      fprintf(log, "%s\tcompiled\t%lld\t%lld\t%lld\n", name, (long long)memory.argument_size_in_bytes,
              (long long)memory.output_size_in_bytes, (long long)memory.temp_size_in_bytes);
  }
  fclose(log);
  pthread_mutex_unlock(&turn);
  PJRT_Program nothing = *args->program;
  nothing.code = "compiled for CUDA, and not to be run";
  nothing.code_size = strlen(nothing.code);
  PJRT_Client_Compile_Args here = *args;
  here.program = &nothing;
  return cpu->PJRT_Client_Compile(&here);
}

static PJRT_Error *create(PJRT_Client_Create_Args *args) {
  args->num_options = 0; /* a card's options are not the CPU's */
  return cpu->PJRT_Client_Create(args);
}

const PJRT_Api *GetPjrtApi(void) {
  if (cpu != NULL) return &table;
  cuda = load("PROXY_CUDA");
  PJRT_Plugin_Initialize_Args args = {.struct_size = PJRT_Plugin_Initialize_Args_STRUCT_SIZE};
  PJRT_Error *error = cuda->PJRT_Plugin_Initialize(&args);
  if (error != NULL) give_up("PROXY_CUDA", message(error));
  describe_card();
  cpu = load("PROXY_CPU");
  size_t size = cpu->struct_size < sizeof table ? cpu->struct_size : sizeof table;
  memcpy(&table, cpu, size);
  table.struct_size = size;
  table.PJRT_Client_Compile = compile;
  table.PJRT_Client_Create = create;
  return &table;
}
