// A libcuda.so.1 of release VERSION whose start answers INIT: what CUDA's own runtime makes of it, no GPU needed.
#include <stdint.h>
#include <string.h>

static int failing(void) { return 999; }

int cuInit(unsigned flags) { return (void)flags, INIT; }

int cuDriverGetVersion(int* version) { return *version = VERSION, 0; }

int cuGetProcAddress_v2(const char* name, void** found, int version, uint64_t flags, void* status) {
  (void)version, (void)flags;
  if (status) *(int*)status = 0;
  *found = (void*)failing;
  if (!strcmp(name, "cuInit")) *found = (void*)cuInit;
  if (!strcmp(name, "cuDriverGetVersion")) *found = (void*)cuDriverGetVersion;
  if (!strcmp(name, "cuGetProcAddress")) *found = (void*)cuGetProcAddress_v2;
  return 0;
}

int cuGetProcAddress(const char* name, void** found, int version, uint64_t flags) {
  return cuGetProcAddress_v2(name, found, version, flags, 0);
}
