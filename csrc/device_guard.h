// DeviceGuard: makes a GPU the current one of this thread for a scope.
#pragma once

namespace faceaffect {

class DeviceGuard {
 public:
  explicit DeviceGuard(int index);  // throws CudaError if there is no such GPU
  ~DeviceGuard() { restore(); }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

  void restore() noexcept;

 private:
  int previous_ = 0;
  bool is_changed_ = false;
};

// How the host waits for the GPU: "auto" (CUDA decides), "spin" (least latency, a busy core),
// "yield" or "block" (least load). It applies to GPUs whose context was not created yet.
void set_wait_mode(int index, const char* mode);

}  // namespace faceaffect
