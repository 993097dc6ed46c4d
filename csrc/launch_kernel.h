// launch_kernel(what, kernel, grid, block, shared_bytes, stream, arguments...): queues a kernel and
// checks the launch. shared_floats() is the shared memory of a block. Tests that run kernels on the
// host replace this file (tests/native/run_on_host.h).
#pragma once

#if defined(FACEAFFECT_ON_HOST)
#include "run_on_host.h"
#else

#include <cstddef>

#include "check_cuda.h"

namespace faceaffect {

// Limit of a grid along y or z; more work takes more launches or more iterations per thread.
constexpr int kMaxBlocks = 65535;

template <typename... Parameters, typename... Arguments>
void launch_kernel(const char* what, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                   size_t shared_bytes, void* stream, const Arguments&... arguments) {
  // clang-format off
  kernel<<<grid, block, shared_bytes, static_cast<cudaStream_t>(stream)>>>(arguments...);
  // clang-format on
  check_cuda(cudaGetLastError(), what);
}

// Dynamic shared memory of a block, of the size given at launch.
static __device__ inline float* shared_floats() {
  extern __shared__ float memory[];
  return memory;
}

}  // namespace faceaffect

#endif
