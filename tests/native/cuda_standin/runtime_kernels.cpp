// Kernel launches of the stand-in runtime: blocks one after the other, threads of a block in both
// orders between barriers, with counts of instructions and memory sectors.
//
// FACEAFFECT_STANDIN_PROFILE: a file that gets a line for each launch.
#include <ucontext.h>

#include "runtime.h"

using namespace standin;

extern "C" const KernelEntry ptx_kernels[];
extern "C" const int ptx_kernel_count;

namespace {

std::map<const void*, const KernelEntry*> g_kernels;
thread_local struct {
  dim3 grid, block;
  size_t shared_bytes;
  cudaStream_t stream;
} t_configuration;

struct Fiber {
  ucontext_t context;
  std::vector<char> stack;
  bool is_done = true;
  Thread thread;
};

struct Block {
  ucontext_t scheduler;
  std::vector<Fiber> fibers;
  const KernelEntry* entry;
  void* const* arguments;
  Fiber* running;
  bool has_failed = false;
  Fault fault;
};
thread_local Block* t_block = nullptr;

void run_fiber() {
  Block* block = t_block;
  try {
    block->entry->run(block->running->thread, block->arguments);
  } catch (const Fault& fault) {
    block->has_failed = true;
    block->fault = fault;
  }
  block->running->is_done = true;
  swapcontext(&block->running->context, &block->scheduler);
}

void yield_fiber(Thread&, int) {
  Block* block = t_block;
  Fiber* fiber = block->running;
  swapcontext(&fiber->context, &block->scheduler);
}

// Instructions of each warp, and the 32-byte sectors that its accesses touch together.
void add_warps(Launch& launch, unsigned threads, const std::vector<uint64_t>& counts) {
  for (unsigned first = 0; first < threads; first += 32) {
    uint64_t most = 0;
    std::map<int, std::vector<std::set<uint64_t>>> sectors;
    for (unsigned i = first; i < std::min(threads, first + 32); ++i) {
      most = std::max(most, counts[i]);
      std::map<int, size_t> times;
      for (const Access& access : launch.log[i]) {
        auto& of_access = sectors[access.pc];
        const size_t time = times[access.pc]++;
        if (of_access.size() <= time) of_access.resize(time + 1);
        const uint64_t last = (access.address + access.size - 1) / 32;
        for (uint64_t at = access.address / 32; at <= last; ++at) of_access[time].insert(at);
      }
    }
    launch.warp_ops += most;
    for (const auto& of_access : sectors)
      for (const auto& touched : of_access.second) launch.sectors += touched.size();
  }
  for (auto& accesses : launch.log) accesses.clear();
}

void run_fibers(Block& block, Launch& launch, unsigned threads, bool is_backward) {
  for (unsigned done = 0; done == 0; is_backward = !is_backward) {
    for (unsigned n = 0; n < threads; ++n) {
      block.running = &block.fibers[is_backward ? threads - 1 - n : n];
      swapcontext(&block.scheduler, &block.running->context);
      if (block.has_failed) throw block.fault;
      done += block.running->is_done;
    }
    ++launch.epoch;
    if (done != 0 && done != threads)
      throw Fault{710, std::string(launch.name) + ": a barrier was not reached by all threads"};
  }
}

void run_block(Block& block, Launch& launch, Dim at, size_t shared_bytes,
               std::vector<uint64_t>& counts) {
  const auto threads = static_cast<unsigned>(counts.size());
  const Dim size = launch.block;
  launch.shared.assign((shared_bytes + 3) / 4 * 4, 0xFF);
  launch.shadow.assign(launch.shared.size() / 4 + 1, {});
  launch.epoch = 0;
  const auto make = [&](Thread& thread, unsigned i) {
    thread.ntid = size;
    thread.nctaid = launch.grid;
    thread.ctaid = at;
    thread.tid = {i % size.x, i / size.x % size.y, i / size.x / size.y};
    thread.launch = &launch;
    thread.linear = i;
    thread.n = 0;
    thread.wait = yield_fiber;
  };
  if (block.fibers.empty()) {  // without barriers threads need no stacks of their own
    for (unsigned i = 0; i < threads; ++i) {
      Thread thread;
      make(thread, i);
      block.entry->run(thread, block.arguments);
      counts[i] = thread.n;
    }
    return;
  }
  t_block = &block;
  for (unsigned i = 0; i < threads; ++i) {
    Fiber& fiber = block.fibers[i];
    fiber.is_done = false;
    make(fiber.thread, i);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, run_fiber, 0);
  }
  run_fibers(block, launch, threads, at.x % 2 != 0);
  for (unsigned i = 0; i < threads; ++i) counts[i] = block.fibers[i].thread.n;
}

void run_kernel(const KernelEntry* entry, Dim grid, Dim size, size_t shared_bytes,
                const std::vector<std::vector<char>>& values) {
  const char* profile = text_setting("PROFILE");
  std::vector<void*> arguments;
  for (const auto& value : values) arguments.push_back(const_cast<char*>(value.data()));
  std::vector<uint64_t> counts(size.x * size.y * size.z);
  Launch launch;
  launch.name = entry->name;
  launch.grid = grid;
  launch.block = size;
  launch.profile = profile != nullptr;
  if (launch.profile) launch.log.resize(counts.size());
  Block block;
  block.entry = entry;
  block.arguments = arguments.data();
  if (entry->barriers > 0) block.fibers.resize(counts.size());
  for (Fiber& fiber : block.fibers) fiber.stack.resize(128 * 1024);
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        run_block(block, launch, {x, y, z}, shared_bytes, counts);
        if (launch.profile) add_warps(launch, static_cast<unsigned>(counts.size()), counts);
      }
  g_races += static_cast<long>(launch.races);
  if (profile == nullptr) return;
  static std::mutex mutex;
  std::lock_guard<std::mutex> hold(mutex);
  FILE* out = fopen(profile, "a");
  fprintf(out, "%s instructions %lu sectors %lu\n", entry->name,
          static_cast<unsigned long>(launch.warp_ops), static_cast<unsigned long>(launch.sectors));
  fclose(out);
}

// A mangled name without the hashes of its file's path, which differ for a copy of the file.
std::string without_hashes(std::string name) {
  for (const char* before : {"_GLOBAL__N__", "_cu_"}) {
    const size_t at = name.find(before);
    if (at != std::string::npos && at + strlen(before) + 8 <= name.size())
      name.replace(at + strlen(before), 8, 8, '0');
  }
  return name;
}

cudaError_t launch(const KernelEntry* entry, dim3 grid, dim3 block, void** arguments,
                   size_t shared_bytes, cudaStream_t stream) {
  ENTER(cudaLaunchKernel);
  if (entry == nullptr) return failed(cudaErrorNoKernelImageForDevice);
  const bool has_shape = block.x * block.y * block.z <= 1024 && block.z <= 64 && grid.y <= 65535 &&
                         grid.z <= 65535 && grid.x * grid.y * grid.z > 0;
  if (!has_shape || shared_bytes > 48 * 1024) return failed(cudaErrorInvalidConfiguration);
  if (breaks_capture(stream)) return failed(cudaErrorStreamCaptureImplicit);
  std::vector<std::vector<char>> values;
  for (int i = 0; i < entry->count; ++i) {
    const char* from = static_cast<const char*>(arguments[i]);
    values.emplace_back(from, from + entry->sizes[i]);
  }
  const Dim size{block.x, block.y, block.z}, blocks{grid.x, grid.y, grid.z};
  return put(stream_of(stream),
             {entry->name, [=] { run_kernel(entry, blocks, size, shared_bytes, values); }});
}

}  // namespace

// What nvcc's host code calls.
extern "C" {

void** __cudaRegisterFatBinary(void*) {
  static void* handle;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 1; }
void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}

void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, uint3*, uint3*,
                            dim3*, dim3*, int*) {
  for (int i = 0; i < ptx_kernel_count; ++i)
    if (without_hashes(ptx_kernels[i].name) == without_hashes(name))
      g_kernels[host] = &ptx_kernels[i];
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes,
                                     cudaStream_t stream) {
  t_configuration = {grid, block, shared_bytes, stream};
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared_bytes,
                                       void* stream) {
  *grid = t_configuration.grid;
  *block = t_configuration.block;
  *shared_bytes = t_configuration.shared_bytes;
  *static_cast<cudaStream_t*>(stream) = t_configuration.stream;
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<KernelEntry*>(g_kernels[host]));
  return cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void* host, dim3 grid, dim3 block, void** arguments,
                             size_t shared_bytes, cudaStream_t stream) {
  return launch(g_kernels[host], grid, block, arguments, shared_bytes, stream);
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               size_t shared_bytes, cudaStream_t stream) {
  return launch(reinterpret_cast<const KernelEntry*>(kernel), grid, block, arguments, shared_bytes,
                stream);
}

}  // extern "C"
