// Runs translated kernels: the position of a thread in the grid, its memory accesses, each checked
// (allocated, aligned, free of races), and its barriers. A Fault is an error that makes a GPU
// unusable for the process.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

struct Dim {
  unsigned x, y, z;
};
struct Fault {
  int code;  // 700 illegal address, 716 misaligned, 710 other
  std::string what;
};

struct Access {
  int pc;
  uint64_t address;
  int size;
  bool store;
};
struct SharedShadow {
  int writer = -1, writer_epoch = -1, reader = -1, reader_epoch = -1;
};

struct Launch {
  const char* name;
  Dim grid, block;
  std::vector<unsigned char> shared;
  std::vector<SharedShadow> shadow;
  int epoch = 0;
  bool profile = false;
  std::unordered_map<uint64_t, uint64_t> written;  // 2-byte granule -> 1 + thread id in the grid
  std::vector<std::vector<Access>> log;            // per thread of a block
  uint64_t races = 0;
  uint64_t warp_ops = 0, sectors = 0;  // of warps; 32-byte pieces that their accesses touch
  uint64_t hit_from = 1, hit_to = 0;   // the allocation found last
  char* hit_base = nullptr;
};

// Throws Fault; remembers the allocation in `launch`.
char* find_memory(Launch& launch, uint64_t address, int size);

struct Thread {
  Dim tid, ntid, ctaid, nctaid;
  Launch* launch;
  unsigned linear;  // in the block
  uint64_t n = 0;   // PTX instructions executed
  void (*wait)(Thread&, int pc);

  [[noreturn]] void fail(int code, const char* what, uint64_t a, int size, int pc) {
    char text[300];
    snprintf(text, sizeof text,
             "%s: %s at 0x%llx, %d bytes, ptx instruction %d, block (%u,%u,%u) thread (%u,%u,%u)",
             launch->name, what, (unsigned long long)a, size, pc, ctaid.x, ctaid.y, ctaid.z, tid.x,
             tid.y, tid.z);
    throw Fault{code, text};
  }
  void race(const char* what, uint64_t a, int pc) {
    if (launch->races++ < 5)
      fprintf(stderr, "[standin] RACE %s in %s at 0x%llx, ptx instruction %d, block %u thread %u\n",
              what, launch->name, (unsigned long long)a, pc, ctaid.x, linear);
  }
  uint64_t me() const {
    return 1 + ((((uint64_t)ctaid.z * nctaid.y + ctaid.y) * nctaid.x + ctaid.x) *
                    (ntid.x * ntid.y * ntid.z) +
                linear);
  }
  char* global(uint64_t a, int size, int pc) {
    if (a % size) fail(716, "misaligned access", a, size, pc);
    if (a >= launch->hit_from && a + size <= launch->hit_to)
      return launch->hit_base + (a - launch->hit_from);
    try {
      return find_memory(*launch, a, size);
    } catch (Fault& f) {
      fail(f.code, f.what.c_str(), a, size, pc);
    }
  }
  char* global_load(uint64_t a, int size, int pc) {
    char* q = global(a, size, pc);
    if (launch->profile) launch->log[linear].push_back({pc, a, size, false});
    if (!launch->written.empty()) {
      auto it = launch->written.find(a >> 1);
      if (it != launch->written.end() && it->second != me())
        race("read of what another thread wrote", a, pc);
    }
    return q;
  }
  char* global_store(uint64_t a, int size, int pc) {
    char* q = global(a, size, pc);
    if (launch->profile) launch->log[linear].push_back({pc, a, size, true});
    for (int i = 0; i < size; i += 2) {
      auto& w = launch->written[(a + i) >> 1];
      if (w && w != me()) race("two threads write", a, pc);
      w = me();
    }
    return q;
  }
  char* generic_load(uint64_t a, int size, int pc) { return global_load(a, size, pc); }
  char* generic_store(uint64_t a, int size, int pc) { return global_store(a, size, pc); }
  char* local_load(uint64_t a, int size, int pc) {
    if (a % size) fail(716, "misaligned local access", a, size, pc);
    return (char*)(uintptr_t)a;
  }
  char* local_store(uint64_t a, int size, int pc) { return local_load(a, size, pc); }
  char* shared_at(uint32_t a, int size, int pc) {
    if (a % size) fail(716, "misaligned shared access", a, size, pc);
    if ((size_t)a + size > launch->shared.size())
      fail(700, "shared memory out of bounds", a, size, pc);
    return (char*)launch->shared.data() + a;
  }
  char* shared_load(uint32_t a, int size, int pc) {
    char* q = shared_at(a, size, pc);
    SharedShadow& s = launch->shadow[a / 4];
    if (s.writer_epoch == launch->epoch && s.writer != (int)linear)
      race("shared: read of what another thread wrote since the last barrier", a, pc);
    if (s.writer_epoch < 0) race("shared: read of what nobody wrote", a, pc);
    s.reader = s.reader_epoch == launch->epoch && s.reader != (int)linear ? -2 : (int)linear;
    s.reader_epoch = launch->epoch;
    return q;
  }
  char* shared_store(uint32_t a, int size, int pc) {
    char* q = shared_at(a, size, pc);
    SharedShadow& s = launch->shadow[a / 4];
    if (s.writer_epoch == launch->epoch && s.writer != (int)linear)
      race("shared: two threads write", a, pc);
    if (s.reader_epoch == launch->epoch && s.reader != (int)linear)
      race("shared: write of what another thread read since the last barrier", a, pc);
    s.writer = (int)linear;
    s.writer_epoch = launch->epoch;
    return q;
  }
  void barrier(int pc) { wait(*this, pc); }
  int to_int(float v, int) {
    if (std::isnan(v)) return 0;
    if (v >= 2147483648.0f) return INT32_MAX;
    if (v <= -2147483648.0f) return INT32_MIN;
    return (int)v;
  }
  void nonzero(uint64_t v, int pc) {
    if (!v) fail(710, "division by zero", 0, 0, pc);
  }
};
#define COUNT(pc) (++t.n)

struct KernelEntry {
  const char* name;
  void (*run)(Thread&, void* const*);
  int count;         // of parameters
  const int* sizes;  // of each, bytes
  int barriers;      // number of barrier instructions
};

// Four bytes of b:a by the selectors in the low bits of `selection`; bit 3 of one repeats the sign.
static inline uint32_t permute_bytes(uint32_t a, uint32_t b, uint32_t selection) {
  const uint64_t both = static_cast<uint64_t>(b) << 32 | a;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32_t selector = selection >> (4 * i) & 15;
    uint32_t byte = both >> (8 * (selector & 7)) & 0xff;
    if (selector & 8) byte = byte & 0x80 ? 0xff : 0;
    result |= byte << (8 * i);
  }
  return result;
}
static inline float bits_f32(uint32_t b) {
  float f;
  memcpy(&f, &b, 4);
  return f;
}
static inline float half_to_float(uint16_t h) {
  _Float16 v;
  memcpy(&v, &h, 2);
  return (float)v;
}
static inline uint16_t float_to_half(float f) {
  _Float16 v = (_Float16)f;
  uint16_t h;
  memcpy(&h, &v, 2);
  return h;
}
