// Runs the code of CUDA kernels on the host, thread by thread: every index, barrier and byte of shared memory is as on a
// GPU, only slower. Each thread of a block is a fiber that gives way at __syncthreads().
#pragma once

#include <ucontext.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(threads)

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace faceaffect {

constexpr int kMaxBlocks = 3;  // far fewer than on a GPU: what must be split is split in every test

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(64 * 1024);
  bool is_done = true;
};

inline ucontext_t g_scheduler;
inline Fiber* g_running = nullptr;
inline std::function<void()>* g_body = nullptr;
inline std::vector<float> g_shared;

inline float* shared_floats() { return g_shared.data(); }

inline void run_fiber() {
  (*g_body)();
  g_running->is_done = true;
  swapcontext(&g_running->context, &g_scheduler);
}

// Lets every thread of the block go on to its next barrier or its end; a barrier that only some reach is an error. The
// last thread goes first in every second step, so that a missing barrier is seen whichever way the data flow.
inline bool step_block(std::vector<Fiber>& fibres, unsigned threads, bool is_backward) {
  unsigned done = 0;
  for (unsigned n = 0; n < threads; ++n) {
    const unsigned i = is_backward ? threads - 1 - n : n;
    threadIdx = dim3(i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y);
    g_running = &fibres[i];
    swapcontext(&g_scheduler, &fibres[i].context);
    done += fibres[i].is_done;
  }
  if (done != 0 && done != threads) {
    std::fprintf(stderr, "__syncthreads was reached by %u of %u threads\n", threads - done, threads);
    std::abort();
  }
  return done == 0;
}

inline void run_block(std::vector<Fiber>& fibres, unsigned threads, size_t shared_bytes) {
  g_shared.assign((shared_bytes + 3) / 4, std::nanf(""));  // nothing may rely on what was there
  for (unsigned i = 0; i < threads; ++i) {
    Fiber& fiber = fibres[i];
    fiber.is_done = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, run_fiber, 0);
  }
  bool is_backward = blockIdx.x % 2 != 0;
  while (step_block(fibres, threads, is_backward)) is_backward = !is_backward;
}

template <typename... Parameters, typename... Arguments>
void launch_kernel(const char*, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, void*,
                   const Arguments&... arguments) {
  static std::vector<Fiber> fibres(1024);
  std::function<void()> body = [&] { kernel(arguments...); };
  g_body = &body;
  gridDim = grid;
  blockDim = block;
  const unsigned threads = block.x * block.y * block.z;
  if (threads > fibres.size() || shared_bytes > 48 * 1024 || grid.y > 65535 || grid.z > kMaxBlocks) std::abort();
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        run_block(fibres, threads, shared_bytes);
      }
}

}  // namespace faceaffect

static inline void __syncthreads() { swapcontext(&faceaffect::g_running->context, &faceaffect::g_scheduler); }
