// Allocations, errors, counts and planned failures of the stand-in runtime.
#include <sys/mman.h>
#include <unistd.h>

#include "runtime.h"

namespace standin {

std::mutex g_mutex;
std::map<uint64_t, Allocation> g_allocations;
std::set<void*> g_streams, g_events, g_graphs, g_executables;
std::map<std::string, long> g_calls;
std::vector<PlannedFailure> g_failures;
std::atomic<int> g_sticky{0};
std::atomic<long> g_races{0};
thread_local int t_last_error = 0, t_device = 0;
thread_local StreamData* t_capturing = nullptr;
thread_local cudaStreamCaptureMode t_mode = cudaStreamCaptureModeGlobal;

namespace {

constexpr uint64_t kGap = 512;
uint64_t g_arena = 0, g_next = 0;
char* g_real = nullptr;

void map_arena() {
  if (g_arena != 0) return;
  const int file = memfd_create("device", 0);
  if (ftruncate(file, kArenaBytes) != 0) abort();
  g_real =
      static_cast<char*>(mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  // The addresses that programs see: an access by the host ends the process.
  g_arena = reinterpret_cast<uint64_t>(
      mmap(nullptr, kArenaBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

}  // namespace

const char* text_setting(const char* name) {
  return getenv(("FACEAFFECT_STANDIN_" + std::string(name)).c_str());
}

int setting(const char* name, int otherwise) {
  const char* text = text_setting(name);
  return text != nullptr ? atoi(text) : otherwise;
}

bool is_on_device(uint64_t address) {
  return g_arena != 0 && address >= g_arena && address < g_arena + kArenaBytes;
}

uint64_t reserve_device(uint64_t bytes, char** base) {
  map_arena();
  const uint64_t step = (bytes + kGap - 1) / kGap * kGap + kGap;
  if (bytes > kArenaBytes || g_next + step > kArenaBytes) return 0;
  const uint64_t at = g_next;
  g_next += step;
  *base = g_real + at;
  memset(*base, 0xFF, step);  // NaN in every float type
  return g_arena + at;
}

uint64_t device_bytes_free() { return kArenaBytes - g_next; }

std::map<uint64_t, Allocation>::iterator allocation_of(uint64_t address) {
  auto found = g_allocations.upper_bound(address);
  if (found == g_allocations.begin()) return g_allocations.end();
  --found;
  const uint64_t bytes = std::max<uint64_t>(found->second.bytes, 1);
  return address < found->first + bytes ? found : g_allocations.end();
}

char* engine_memory(uint64_t address, uint64_t bytes, bool may_be_pageable) {
  std::lock_guard<std::mutex> hold(g_mutex);
  const auto found = allocation_of(address);
  if (found == g_allocations.end()) {
    if (is_on_device(address))
      throw Fault{700, "device memory that is not allocated (freed or out of bounds)"};
    if (may_be_pageable) return reinterpret_cast<char*>(address);
    throw Fault{700, "host memory that is not pinned"};
  }
  if (address + bytes > found->first + found->second.bytes)
    throw Fault{
        700, "out of bounds of an allocation of " + std::to_string(found->second.bytes) + " bytes"};
  return found->second.base + (address - found->first);
}

void lose_device(int code, const std::string& what) {
  fprintf(stderr, "[standin] ERROR %d: %s\n", code, what.c_str());
  int none = 0;
  g_sticky.compare_exchange_strong(none, code);
}

int note(int code) {
  if (code != 0) t_last_error = code;
  return code;
}

int enter(const char* name, bool is_unsafe) {
  std::lock_guard<std::mutex> hold(g_mutex);
  ++g_calls[name];
  if (g_sticky != 0) return note(g_sticky);
  for (PlannedFailure& failure : g_failures)
    if (failure.name == name && --failure.nth == 0) {
      if (failure.is_sticky) g_sticky = failure.code;
      return note(failure.code);
    }
  const bool is_restricted = t_capturing != nullptr &&
                             t_capturing->mode != cudaStreamCaptureModeRelaxed &&
                             t_mode != cudaStreamCaptureModeRelaxed;
  if (!is_unsafe || !is_restricted) return 0;
  t_capturing->is_capture_broken = true;
  fprintf(stderr, "[standin] %s during a capture\n", name);
  return note(cudaErrorStreamCaptureUnsupported);
}

}  // namespace standin

char* find_memory(Launch& launch, uint64_t address, int size) {
  using namespace standin;
  std::lock_guard<std::mutex> hold(g_mutex);
  const auto found = allocation_of(address);
  if (found == g_allocations.end())
    throw Fault{700, is_on_device(address) ? "device memory that is not allocated"
                                           : "host memory that is not pinned"};
  if (address + size > found->first + found->second.bytes) throw Fault{700, "out of bounds"};
  launch.hit_from = found->first;
  launch.hit_to = found->first + found->second.bytes;
  launch.hit_base = found->second.base;
  return found->second.base + (address - found->first);
}

// What tests ask for, through standin.py.
extern "C" {

using namespace standin;

void standin_fail(const char* name, long nth, int code, int is_sticky) {
  std::lock_guard<std::mutex> hold(g_mutex);
  g_failures.push_back({name, nth, code, is_sticky != 0});
}

// Recovers from a sticky error; what was queued before it is dropped, as it would not have run.
void standin_reset() {
  for (StreamData* stream : all_streams()) drain(stream);
  std::lock_guard<std::mutex> hold(g_mutex);
  g_failures.clear();
  g_sticky = 0;
  t_last_error = 0;
}

long standin_count(const char* name) {
  std::lock_guard<std::mutex> hold(g_mutex);
  return g_calls[name];
}

long standin_races() { return g_races; }
long standin_sticky() { return g_sticky; }

long standin_live() {
  std::lock_guard<std::mutex> hold(g_mutex);
  return static_cast<long>(g_allocations.size());
}

// Queues a host function on a stream; it is captured like everything else.
int standin_enqueue(void* stream, void (*call)(long), long token, const char* name) {
  if (const int error = enter("standin_enqueue")) return error;
  return put(stream_of(static_cast<cudaStream_t>(stream)), {name, [=] { call(token); }});
}

// The memory behind an address of the device, for the simulated engine.
void* standin_real(uint64_t address, uint64_t bytes) {
  try {
    return engine_memory(address, bytes, false);
  } catch (const Fault& fault) {
    lose_device(fault.code, "engine: " + fault.what);
    return nullptr;
  }
}

}  // extern "C"
