// Device memory and pinned host memory with RAII ownership.
#pragma once

#include <cstddef>
#include <cstdint>

namespace faceaffect {

class DeviceBuffer {
 public:
  explicit DeviceBuffer(size_t bytes);  // on the thread's current device; throws CudaError
  ~DeviceBuffer();
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  uintptr_t address() const { return reinterpret_cast<uintptr_t>(memory_); }
  size_t bytes() const { return bytes_; }

 private:
  void* memory_ = nullptr;
  size_t bytes_;
};

// Page-locked host memory: copied asynchronously and readable by kernels in place.
class PinnedBuffer {
 public:
  explicit PinnedBuffer(size_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;

  uint8_t* data() const { return memory_; }
  size_t bytes() const { return bytes_; }

 private:
  uint8_t* memory_ = nullptr;
  size_t bytes_;
};

// Copies between any two of device, pinned and pageable memory; returns once the copy is queued.
void copy_bytes(uintptr_t to, uintptr_t from, size_t bytes, void* stream);
// Copies `rows` rows of `row_bytes` whose starts are a stride apart, in bytes.
void copy_rows(uintptr_t to, size_t to_stride, uintptr_t from, size_t from_stride, size_t row_bytes,
               size_t rows, void* stream);
void fill_bytes(uintptr_t to, int value, size_t bytes, void* stream);

}  // namespace faceaffect
