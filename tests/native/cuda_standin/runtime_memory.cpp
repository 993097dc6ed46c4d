// Memory of the stand-in runtime: allocation, copies, pointer attributes.
#include "runtime.h"

using namespace standin;

namespace {

bool is_pageable(uint64_t address) {
  std::lock_guard<std::mutex> hold(g_mutex);
  return allocation_of(address) == g_allocations.end() && !is_on_device(address);
}

cudaError_t sticky_error() { return failed(g_sticky); }

// Waits for all streams first, as the real one does; FACEAFFECT_STANDIN_FREE_AT_ONCE=1 does not.
cudaError_t release(void* memory, const char* name) {
  if (memory == nullptr) return cudaSuccess;
  if (setting("FREE_AT_ONCE", 0) == 0)
    for (StreamData* stream : all_streams()) drain(stream);
  std::lock_guard<std::mutex> hold(g_mutex);
  const auto found = g_allocations.find(reinterpret_cast<uint64_t>(memory));
  if (found == g_allocations.end()) {
    fprintf(stderr, "[standin] ERROR %s of memory that is not allocated\n", name);
    return failed(cudaErrorInvalidValue);
  }
  if (found->second.is_pinned) free(found->second.base);
  g_allocations.erase(found);
  return cudaSuccess;
}

}  // namespace

extern "C" {

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  ENTER(cudaMemGetInfo);
  std::lock_guard<std::mutex> hold(g_mutex);
  *total_bytes = kArenaBytes;
  *free_bytes = device_bytes_free();
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  ENTER_UNSAFE(cudaMalloc);
  std::lock_guard<std::mutex> hold(g_mutex);
  char* base = nullptr;
  const uint64_t address = reserve_device(bytes, &base);
  if (address == 0) return failed(cudaErrorMemoryAllocation);
  g_allocations[address] = {bytes, base, false};
  *memory = reinterpret_cast<void*>(address);
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  ENTER_UNSAFE(cudaFree);
  return release(memory, "cudaFree");
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  ENTER_UNSAFE(cudaHostAlloc);
  void* made = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  memset(made, 0xFF, bytes);
  std::lock_guard<std::mutex> hold(g_mutex);
  g_allocations[reinterpret_cast<uint64_t>(made)] = {bytes, static_cast<char*>(made), true};
  *memory = made;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
  ENTER_UNSAFE(cudaFreeHost);
  return release(memory, "cudaFreeHost");
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
  ENTER(cudaPointerGetAttributes);
  std::lock_guard<std::mutex> hold(g_mutex);
  *attributes = {};
  const auto found = allocation_of(reinterpret_cast<uint64_t>(memory));
  if (found == g_allocations.end()) {
    attributes->type = cudaMemoryTypeUnregistered;
    return cudaSuccess;
  }
  attributes->type = found->second.is_pinned ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
  attributes->devicePointer = const_cast<void*>(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind, cudaStream_t handle) {
  ENTER(cudaMemcpy2DAsync);
  if (width > to_pitch || width > from_pitch) return failed(cudaErrorInvalidValue);
  if (breaks_capture(handle)) return failed(cudaErrorStreamCaptureImplicit);
  StreamData* stream = stream_of(handle);
  const auto target = reinterpret_cast<uint64_t>(to), origin = reinterpret_cast<uint64_t>(from);
  put(stream, {"memcpy2D", [=] {
                 if (width == 0 || height == 0) return;
                 char* a = engine_memory(target, to_pitch * (height - 1) + width, true);
                 const char* b = engine_memory(origin, from_pitch * (height - 1) + width, true);
                 for (size_t y = 0; y < height; ++y)
                   memcpy(a + y * to_pitch, b + y * from_pitch, width);
               }});
  if ((is_pageable(target) || is_pageable(origin)) && !stream->capture) drain(stream);
  return sticky_error();
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t handle) {
  ENTER(cudaMemcpyAsync);
  if (breaks_capture(handle)) return failed(cudaErrorStreamCaptureImplicit);
  StreamData* stream = stream_of(handle);
  const auto target = reinterpret_cast<uint64_t>(to), origin = reinterpret_cast<uint64_t>(from);
  if (is_pageable(origin) && !stream->capture) {
    // Pageable memory is staged: the call returns before the copy to the device is done.
    const auto* first = static_cast<const char*>(from);
    auto staged = std::make_shared<std::vector<char>>(first, first + bytes);
    return put(stream, {"memcpy", [=] {
                          memcpy(engine_memory(target, bytes, true), staged->data(), bytes);
                        }});
  }
  put(stream, {"memcpy", [=] {
                 char* a = engine_memory(target, bytes, true);
                 memcpy(a, engine_memory(origin, bytes, true), bytes);
               }});
  if (is_pageable(target) && !stream->capture) drain(stream);
  return sticky_error();
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  ENTER(cudaMemsetAsync);
  const auto target = reinterpret_cast<uint64_t>(to);
  return put(stream_of(stream),
             {"memset", [=] { memset(engine_memory(target, bytes, false), value, bytes); }});
}

}  // extern "C"
