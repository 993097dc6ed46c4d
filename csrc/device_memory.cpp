#include "device_memory.h"

#include "check_cuda.h"
#include "relaxed_capture.h"

namespace faceaffect {

// A destructor cannot report an error; the next call on the device will.

DeviceBuffer::DeviceBuffer(size_t bytes) : bytes_(bytes) {
  require_device();
  const std::string what = "allocating " + std::to_string(bytes) + " bytes on the GPU";
  check_cuda(cudaMalloc(&memory_, bytes > 0 ? bytes : 1), what.c_str());
}

DeviceBuffer::~DeviceBuffer() {
  const RelaxedCapture relaxed;
  cudaFree(memory_);
}

PinnedBuffer::PinnedBuffer(size_t bytes) : bytes_(bytes) {
  require_device();
  const std::string what = "allocating " + std::to_string(bytes) + " bytes of pinned memory";
  void* memory = nullptr;
  check_cuda(
      cudaHostAlloc(&memory, bytes > 0 ? bytes : 1, cudaHostAllocPortable | cudaHostAllocMapped),
      what.c_str());
  memory_ = static_cast<uint8_t*>(memory);
}

PinnedBuffer::~PinnedBuffer() {
  const RelaxedCapture relaxed;
  cudaFreeHost(memory_);
}

void copy_bytes(uintptr_t to, uintptr_t from, size_t bytes, void* stream) {
  check_cuda(cudaMemcpyAsync(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from),
                             bytes, cudaMemcpyDefault, static_cast<cudaStream_t>(stream)),
             "copying between host and GPU");
}

void copy_rows(uintptr_t to, size_t to_stride, uintptr_t from, size_t from_stride, size_t row_bytes,
               size_t rows, void* stream) {
  check_cuda(cudaMemcpy2DAsync(reinterpret_cast<void*>(to), to_stride,
                               reinterpret_cast<const void*>(from), from_stride, row_bytes, rows,
                               cudaMemcpyDefault, static_cast<cudaStream_t>(stream)),
             "copying rows between host and GPU");
}

void fill_bytes(uintptr_t to, int value, size_t bytes, void* stream) {
  check_cuda(
      cudaMemsetAsync(reinterpret_cast<void*>(to), value, bytes, static_cast<cudaStream_t>(stream)),
      "filling GPU memory");
}

}  // namespace faceaffect
