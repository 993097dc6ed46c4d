#include "instruction_sets.h"

#if defined(_MSC_VER) && defined(_M_X64)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace faceaffect {

namespace {

#if defined(FACEAFFECT_HAS_AVX2) && defined(_MSC_VER)
// Tests bit `bit` of register `reg` (EAX 0 .. EDX 3) of CPUID leaf `leaf`, and whether the system
// saves `state`.
bool has_bit(int leaf, int reg, int bit) {
  int registers[4];
  __cpuidex(registers, leaf, 0);
  return (registers[reg] >> bit & 1) != 0;
}
bool saves_state(unsigned long long state) {
  return has_bit(1, 2, 27) && (_xgetbv(0) & state) == state;
}
bool has_avx2() { return saves_state(0x6) && has_bit(7, 1, 5) && has_bit(1, 2, 12); }
bool has_avx512() {
  return has_avx2() && saves_state(0xe6) && has_bit(7, 1, 16) && has_bit(7, 1, 30);
}
#elif defined(FACEAFFECT_HAS_AVX2)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

}  // namespace

#define FACEAFFECT_ROW(isa, usable) \
  {#isa, usable, isa::crop_face_cpu, isa::normalize_cpu, isa::au_gcn_cpu}

const InstructionSet* instruction_sets(int* count) {
  static const InstructionSet sets[] = {
      FACEAFFECT_ROW(baseline, true),
#if defined(FACEAFFECT_HAS_NEON)
      FACEAFFECT_ROW(neon, true),
#endif
#if defined(FACEAFFECT_HAS_AVX2)
      FACEAFFECT_ROW(avx2, has_avx2()),
#endif
#if defined(FACEAFFECT_HAS_AVX512)
      FACEAFFECT_ROW(avx512, has_avx512()),
#endif
  };
  *count = static_cast<int>(sizeof(sets) / sizeof(sets[0]));
  return sets;
}

}  // namespace faceaffect
