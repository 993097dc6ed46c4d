// Memory of the GPU and pinned memory of the host, each freed with its owner.
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

// Page-locked: copied asynchronously, and read by kernels where it lies.
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

// Between any two of device, pinned and ordinary memory; returns once it is queued.
void copy_bytes(uintptr_t to, uintptr_t from, size_t bytes, void* stream);
void fill_bytes(uintptr_t to, int value, size_t bytes, void* stream);

}  // namespace faceaffect
