// launch_kernel(what, kernel, grid, block, shared_bytes, stream, arguments...): queues a kernel and checks that it was.
// shared_floats() is a block's shared memory. A test that runs kernels on the host brings its own (tests/native/run_on_host.h).
#pragma once

#if defined(FACEAFFECT_ON_HOST)
#include "run_on_host.h"
#else

#include <cstddef>

#include "check_cuda.h"

namespace faceaffect {

constexpr int kMostBlocks = 65535;  // of a grid along y or z; more work takes more launches, or more turns of a thread

template <typename... Parameters, typename... Arguments>
void launch_kernel(const char* what, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                   void* stream, const Arguments&... arguments) {
  kernel<<<grid, block, shared_bytes, static_cast<cudaStream_t>(stream)>>>(arguments...);
  check_cuda(cudaGetLastError(), what);
}

// The memory that the threads of a block share, as large as the launch said.
static __device__ inline float* shared_floats() {
  extern __shared__ float memory[];
  return memory;
}

}  // namespace faceaffect

#endif
