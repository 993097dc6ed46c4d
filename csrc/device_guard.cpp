#include "device_guard.h"

#include <cstring>

#include "check_cuda.h"

namespace faceaffect {

DeviceGuard::DeviceGuard(int index) {
  check_cuda(cudaGetDevice(&previous_), "asking for the current GPU");
  if (previous_ == index) return;
  check_cuda(cudaSetDevice(index), "choosing a GPU");
  is_changed_ = true;
}

void DeviceGuard::restore() noexcept {
  if (is_changed_) cudaSetDevice(previous_);
  is_changed_ = false;
}

void set_wait_mode(int index, const char* mode) {
  const struct {
    const char* name;
    unsigned flag;
  } modes[] = {{"auto", cudaDeviceScheduleAuto},
               {"spin", cudaDeviceScheduleSpin},
               {"yield", cudaDeviceScheduleYield},
               {"block", cudaDeviceScheduleBlockingSync}};
  for (const auto& known : modes)
    if (std::strcmp(known.name, mode) == 0) {
      const DeviceGuard guard(index);
      check_cuda(cudaSetDeviceFlags(known.flag), "setting how the host waits for the GPU");
      return;
    }
  throw CudaError("expected wait mode auto, spin, yield or block, got " + std::string(mode));
}

}  // namespace faceaffect
