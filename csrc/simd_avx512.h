// Sixteen lanes: AVX-512 F, BW, DQ, VL.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace faceaffect {
namespace {

struct Simd {
  using Float = __m512;
  using Int = __m512i;
  static constexpr int count = 16;
  static constexpr int triple_bytes = 52;

  static Float set(float value) { return _mm512_set1_ps(value); }
  static Float iota() {
    return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }
  static Float load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Float value) { _mm512_storeu_ps(to, value); }
  static Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
  static Float sub(Float a, Float b) { return _mm512_sub_ps(a, b); }
  static Float mul(Float a, Float b) { return _mm512_mul_ps(a, b); }
  static Float max(Float a, Float b) { return _mm512_max_ps(a, b); }
  static Float min(Float a, Float b) { return _mm512_min_ps(a, b); }
  static Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }  // a b + c

  static Int set_int(int value) { return _mm512_set1_epi32(value); }
  static void store_int(int32_t* to, Int value) { _mm512_storeu_si512(to, value); }
  static Int add_int(Int a, Int b) { return _mm512_add_epi32(a, b); }
  static Int mul_int(Int a, Int b) { return _mm512_mullo_epi32(a, b); }
  static Int truncate(Float value) { return _mm512_cvttps_epi32(value); }
  static Float to_float(Int value) { return _mm512_cvtepi32_ps(value); }

  template <int k>
  static Float byte(Int value) {
    return to_float(_mm512_and_si512(_mm512_srli_epi32(value, 8 * k), _mm512_set1_epi32(255)));
  }

  static Int load_32(const uint8_t* base, const int32_t* at) {
    __m512i out = _mm512_castsi128_si512(four(base, at));
    out = _mm512_inserti32x4(out, four(base, at + 4), 1);
    out = _mm512_inserti32x4(out, four(base, at + 8), 2);
    return _mm512_inserti32x4(out, four(base, at + 12), 3);
  }

  static void load_64(const uint8_t* base, const int32_t* at, Int* low, Int* high) {
    const __m512 even = pairs(base, at), odd = pairs(base, at + 2);
    *low = _mm512_castps_si512(_mm512_shuffle_ps(even, odd, 0x88));
    *high = _mm512_castps_si512(_mm512_shuffle_ps(even, odd, 0xdd));
  }

  static Int load_triples(const uint8_t* from) {
    const __m512i spread =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1));
    __m512i out = _mm512_castsi128_si512(sixteen(from));
    out = _mm512_inserti32x4(out, sixteen(from + 12), 1);
    out = _mm512_inserti32x4(out, sixteen(from + 24), 2);
    out = _mm512_inserti32x4(out, sixteen(from + 36), 3);
    return _mm512_shuffle_epi8(out, spread);
  }

 private:
  static int32_t word(const uint8_t* from) {
    int32_t value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  static __m128i sixteen(const uint8_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }
  static __m128i four(const uint8_t* base, const int32_t* at) {
    return _mm_setr_epi32(word(base + at[0]), word(base + at[1]), word(base + at[2]),
                          word(base + at[3]));
  }
  static __m128 two(const uint8_t* base, const int32_t* at) {
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(base + at[0]));
    return _mm_loadh_pi(_mm_castsi128_ps(low), reinterpret_cast<const __m64*>(base + at[1]));
  }
  // Pixels 0 and 1 of every four.
  static __m512 pairs(const uint8_t* base, const int32_t* at) {
    __m512 out = _mm512_castps128_ps512(two(base, at));
    out = _mm512_insertf32x4(out, two(base, at + 4), 1);
    out = _mm512_insertf32x4(out, two(base, at + 8), 2);
    return _mm512_insertf32x4(out, two(base, at + 12), 3);
  }
};

}  // namespace
}  // namespace faceaffect
