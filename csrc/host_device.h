// HOST_DEVICE marks definitions shared by the CPU and CUDA kernels. They are `static inline`, so
// that code compiled for one instruction set is never linked into that of another.
#pragma once

#if defined(__CUDACC__)
#define HOST_DEVICE static inline __host__ __device__
#else
#define HOST_DEVICE static inline
#endif

namespace faceaffect {

HOST_DEVICE float as_float(float value) { return value; }

}  // namespace faceaffect
