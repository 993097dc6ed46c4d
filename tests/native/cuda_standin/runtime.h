// State of the stand-in CUDA runtime, shared by its source files: allocations, streams, errors.
//
// A stream is a thread; device memory is an address range that the host cannot touch; a kernel is
// its own PTX translated to C++. The rules that programs break are kept: the variable of the last
// error, errors that stay, what a capture forbids, pinned and pageable memory.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "ptx_host.h"

namespace standin {

// Most device memory of the process.
constexpr uint64_t kArenaBytes = 2ull << 30;

struct Allocation {
  uint64_t bytes;
  char* base;
  bool is_pinned;
};

struct Operation {
  std::string name;
  std::function<void()> run;
};

struct GraphData {
  std::vector<Operation> operations;
};

struct StreamData {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Operation> queue;
  bool is_busy = false, must_stop = false;
  bool has_ended = false;  // its thread was ended while Python exits
  std::thread worker;
  std::shared_ptr<GraphData> capture;
  bool is_capture_broken = false;
  std::thread::id capturer;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
};

// A failure of the `nth` call of a function from now on.
struct PlannedFailure {
  std::string name;
  long nth;
  int code;
  bool is_sticky;
};

extern std::mutex g_mutex;  // guards everything down to g_failures
extern std::map<uint64_t, Allocation> g_allocations;
extern std::set<void*> g_streams, g_events, g_graphs, g_executables;
extern std::map<std::string, long> g_calls;
extern std::vector<PlannedFailure> g_failures;

extern std::atomic<int> g_sticky;  // the error that ended the use of the GPU
extern std::atomic<long> g_races;
extern thread_local int t_last_error, t_device;
extern thread_local StreamData* t_capturing;
extern thread_local cudaStreamCaptureMode t_mode;

// FACEAFFECT_STANDIN_<name>, or a default.
int setting(const char* name, int otherwise);
const char* text_setting(const char* name);  // null if it is not set

bool is_on_device(uint64_t address);
uint64_t reserve_device(uint64_t bytes, char** base);  // 0: the arena is full; g_mutex held
uint64_t device_bytes_free();
std::map<uint64_t, Allocation>::iterator allocation_of(uint64_t address);  // g_mutex held
// Memory that a copy engine or a kernel reads at an address; pageable memory only for copies.
char* engine_memory(uint64_t address, uint64_t bytes, bool may_be_pageable);

void lose_device(int code, const std::string& what);
int note(int code);  // sets the last error of the thread
// Counts a call; returns the error that it must give. `is_unsafe`: not allowed in a capture.
int enter(const char* name, bool is_unsafe = false);

StreamData* stream_of(cudaStream_t stream);
StreamData* make_stream();
std::vector<StreamData*> all_streams();
bool is_pending(StreamData* stream);
void drain(StreamData* stream);
cudaError_t put(StreamData* stream, Operation operation);
bool is_default(cudaStream_t stream);
cudaError_t failed(int code);  // notes an error and returns it
void insert(std::set<void*>& owned, void* handle);
bool erase(std::set<void*>& owned, void* handle);
// Whether work on the default stream would be part of a capture of this thread, which is an error.
bool breaks_capture(cudaStream_t stream);

}  // namespace standin

#define ENTER(name) \
  if (const int error_ = standin::enter(#name)) return static_cast<cudaError_t>(error_)
#define ENTER_UNSAFE(name) \
  if (const int error_ = standin::enter(#name, true)) return static_cast<cudaError_t>(error_)
