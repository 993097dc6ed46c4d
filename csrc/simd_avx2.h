// Eight lanes: AVX2 with FMA.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace faceaffect {
namespace {

struct Simd {
  using Float = __m256;
  using Int = __m256i;
  static constexpr int count = 8;
  static constexpr int triple_bytes = 28;

  static Float set(float value) { return _mm256_set1_ps(value); }
  static Float iota() { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }
  static Float load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, Float value) { _mm256_storeu_ps(to, value); }
  static Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
  static Float sub(Float a, Float b) { return _mm256_sub_ps(a, b); }
  static Float mul(Float a, Float b) { return _mm256_mul_ps(a, b); }
  static Float max(Float a, Float b) { return _mm256_max_ps(a, b); }
  static Float min(Float a, Float b) { return _mm256_min_ps(a, b); }
  static Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }  // a b + c

  static Int set_int(int value) { return _mm256_set1_epi32(value); }
  static void store_int(int32_t* to, Int value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), value);
  }
  static Int add_int(Int a, Int b) { return _mm256_add_epi32(a, b); }
  static Int mul_int(Int a, Int b) { return _mm256_mullo_epi32(a, b); }
  static Int truncate(Float value) { return _mm256_cvttps_epi32(value); }
  static Float to_float(Int value) { return _mm256_cvtepi32_ps(value); }

  template <int k>
  static Float byte(Int value) {
    if (k == 3) return to_float(_mm256_srli_epi32(value, 24));
    const int take =
        static_cast<int>(0xffffff00u) | k;  // byte k, then three zeros, for each lane of four
    const __m256i one =
        _mm256_setr_epi32(take, take + 4, take + 8, take + 12, take, take + 4, take + 8, take + 12);
    return to_float(_mm256_shuffle_epi8(value, one));
  }

  static Int load_32(const uint8_t* base, const int32_t* at) {
    return _mm256_set_m128i(four(base, at + 4), four(base, at));
  }

  static void load_64(const uint8_t* base, const int32_t* at, Int* low, Int* high) {
    const __m256 even = _mm256_set_m128(two(base, at[4], at[5]), two(base, at[0], at[1]));
    const __m256 odd = _mm256_set_m128(two(base, at[6], at[7]), two(base, at[2], at[3]));
    *low = _mm256_castps_si256(_mm256_shuffle_ps(even, odd, 0x88));
    *high = _mm256_castps_si256(_mm256_shuffle_ps(even, odd, 0xdd));
  }

  static Int load_triples(const uint8_t* from) {
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 12));
    const __m256i spread =
        _mm256_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1,  //
                         0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
    return _mm256_shuffle_epi8(_mm256_set_m128i(high, low), spread);
  }

 private:
  static int32_t word(const uint8_t* from) {
    int32_t value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  static __m128i four(const uint8_t* base, const int32_t* at) {
    return _mm_setr_epi32(word(base + at[0]), word(base + at[1]), word(base + at[2]),
                          word(base + at[3]));
  }
  static __m128 two(const uint8_t* base, int32_t first, int32_t second) {
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(base + first));
    return _mm_loadh_pi(_mm_castsi128_ps(low), reinterpret_cast<const __m64*>(base + second));
  }
};

}  // namespace
}  // namespace faceaffect
