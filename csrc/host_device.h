// HOST_DEVICE marks the definitions that the CPU and the CUDA twin share. They are `static inline`, so that a copy built
// for one instruction set is never linked into the code of another.
#pragma once

#if defined(__CUDACC__)
#define HOST_DEVICE static inline __host__ __device__
#else
#define HOST_DEVICE static inline
#endif

namespace faceaffect {

HOST_DEVICE float as_float(float value) { return value; }

}  // namespace faceaffect
