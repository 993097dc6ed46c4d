// Crops a run of pixels of one row whose taps all lie inside the frame, several pixels at a time.
// Needs Simd.
#pragma once

#include "crop_face.h"
#include "simd.h"

namespace faceaffect {
namespace {

// A plane at its level as offsets from `data`: pixel (x, y) starts at y * stride + x * channels +
// shift.
struct PlaneAtLevel {
  const uint8_t* data;
  int stride;
  int shift;
};

struct RowSource {
  PlaneAtLevel plane, chroma;
  const uint8_t* chroma_v;  // I420: V, laid out like `chroma`
  YuvCoefficients yuv;
  LevelTransform transform;
  float scale[3], offset[3];    // normalized = value * scale + offset, output order
  float low_xy[2], high_xy[2];  // bounds (inclusive) of positions whose loads stay inside
};

// Sampling points of a chunk of a row in one plane. All positions of a chunk are computed before
// its pixels are read: in a single loop the dependency chain from position to address, load and
// result exceeds the processor's reorder window.
constexpr int kChunk = 64;
struct Points {
  int32_t offset[kChunk];
  float x_weight[kChunk], y_weight[kChunk];
};

inline void locate(const PlaneAtLevel& plane, int channels, Simd::Float x, Simd::Float y, int i,
                   Points* points) {
  const Simd::Int x0 = Simd::truncate(x), y0 = Simd::truncate(y);
  const Simd::Int column =
      Simd::add_int(Simd::mul_int(x0, Simd::set_int(channels)), Simd::set_int(plane.shift));
  Simd::store_int(points->offset + i,
                  Simd::add_int(Simd::mul_int(y0, Simd::set_int(plane.stride)), column));
  Simd::store(points->x_weight + i, Simd::sub(x, Simd::to_float(x0)));
  Simd::store(points->y_weight + i, Simd::sub(y, Simd::to_float(y0)));
}

inline Simd::Float blend(Simd::Float a, Simd::Float b, Simd::Float weight) {
  return Simd::fma(weight, Simd::sub(b, a), a);
}

template <int left, int right>
Simd::Float tap(Simd::Int top_left, Simd::Int top_right, Simd::Int low_left, Simd::Int low_right,
                Simd::Float x_weight, Simd::Float y_weight) {
  return blend(blend(Simd::byte<left>(top_left), Simd::byte<right>(top_right), x_weight),
               blend(Simd::byte<left>(low_left), Simd::byte<right>(low_right), x_weight), y_weight);
}

inline void store(const RowSource& source, int c, Simd::Float value, float* out) {
  Simd::store(out, Simd::fma(value, Simd::set(source.scale[c]), Simd::set(source.offset[c])));
}

template <PixelFormat pixel_format>
void crop_color(const RowSource& source, const Points& points, int i, int64_t plane_px,
                float* out) {
  constexpr int first = pixel_format == PixelFormat::BGR ? 2 : 0;
  const Simd::Float x_weight = Simd::load(points.x_weight + i),
                    y_weight = Simd::load(points.y_weight + i);
  Simd::Int top, top_right, low,
      low_right;  // bytes 0..3 and 4..7: the right pixel starts at byte 3
  Simd::load_64(source.plane.data, points.offset + i, &top, &top_right);
  Simd::load_64(source.plane.data + source.plane.stride, points.offset + i, &low, &low_right);
  store(source, first, tap<0, 3>(top, top, low, low, x_weight, y_weight), out + first * plane_px);
  store(source, 1, tap<1, 0>(top, top_right, low, low_right, x_weight, y_weight), out + plane_px);
  store(source, 2 - first, tap<2, 1>(top, top_right, low, low_right, x_weight, y_weight),
        out + (2 - first) * plane_px);
}

inline Simd::Float sample_luma(const RowSource& source, const Points& points, int i) {
  const Simd::Int top = Simd::load_32(source.plane.data, points.offset + i);
  const Simd::Int low = Simd::load_32(source.plane.data + source.plane.stride, points.offset + i);
  return tap<0, 1>(top, top, low, low, Simd::load(points.x_weight + i),
                   Simd::load(points.y_weight + i));
}

inline void crop_gray(const RowSource& source, const Points& points, int i, int64_t plane_px,
                      float* out) {
  const Simd::Float luma = sample_luma(source, points, i);
  for (int c = 0; c < 3; ++c) store(source, c, luma, out + c * plane_px);
}

template <PixelFormat pixel_format>
void crop_yuv(const RowSource& source, const Points& points, const Points& chroma, int i,
              int64_t plane_px, float* out) {
  const Simd::Float luma = sample_luma(source, points, i);
  const Simd::Int top = Simd::load_32(source.chroma.data, chroma.offset + i);
  const Simd::Int low = Simd::load_32(source.chroma.data + source.chroma.stride, chroma.offset + i);
  const Simd::Float x_weight = Simd::load(chroma.x_weight + i),
                    y_weight = Simd::load(chroma.y_weight + i);
  const Simd::Float middle = Simd::set(kChromaOffset), zero = Simd::set(0.0f),
                    full = Simd::set(255.0f);
  Simd::Float u, v;
  if (pixel_format == PixelFormat::NV12) {
    u = tap<0, 2>(top, top, low, low, x_weight, y_weight);
    v = tap<1, 3>(top, top, low, low, x_weight, y_weight);
  } else {
    const Simd::Int top_v = Simd::load_32(source.chroma_v, chroma.offset + i);
    const Simd::Int low_v =
        Simd::load_32(source.chroma_v + source.chroma.stride, chroma.offset + i);
    u = tap<0, 1>(top, top, low, low, x_weight, y_weight);
    v = tap<0, 1>(top_v, top_v, low_v, low_v, x_weight, y_weight);
  }
  u = Simd::sub(u, middle);
  v = Simd::sub(v, middle);
  const YuvCoefficients& yuv = source.yuv;
  const Simd::Float gray =
      Simd::mul(Simd::set(yuv.luma_scale), Simd::sub(luma, Simd::set(yuv.luma_offset)));
  const Simd::Float rgb[3] = {
      Simd::fma(Simd::set(yuv.v_to_red), v, gray),
      Simd::fma(Simd::set(yuv.v_to_green), v, Simd::fma(Simd::set(yuv.u_to_green), u, gray)),
      Simd::fma(Simd::set(yuv.u_to_blue), u, gray),
  };
  for (int c = 0; c < 3; ++c)
    store(source, c, Simd::min(Simd::max(rgb[c], zero), full), out + c * plane_px);
}

// Computes the sampling points of crop pixels [begin, begin + count) of row y. The last step
// overlaps the previous one.
template <PixelFormat pixel_format>
void locate_chunk(const RowSource& source, int y, int begin, int count, Points* points,
                  Points* chroma) {
  const float* m = source.transform.m;
  const Simd::Float x_step = Simd::set(m[0]), y_step = Simd::set(m[3]);
  const Simd::Float x_row = Simd::set(m[1] * static_cast<float>(y)), x_start = Simd::set(m[2]);
  const Simd::Float y_row = Simd::set(m[4] * static_cast<float>(y)), y_start = Simd::set(m[5]);
  const Simd::Float half = Simd::set(0.5f), quarter = Simd::set(0.25f);
  for (int i = 0; i < count; i += Simd::count) {
    if (i > count - Simd::count) i = count - Simd::count;
    const Simd::Float column = Simd::add(Simd::set(static_cast<float>(begin + i)), Simd::iota());
    const Simd::Float frame_x = Simd::add(Simd::add(Simd::mul(x_step, column), x_row), x_start);
    const Simd::Float frame_y = Simd::add(Simd::add(Simd::mul(y_step, column), y_row), y_start);
    locate(source.plane,
           pixel_format == PixelFormat::BGR || pixel_format == PixelFormat::RGB ? 3 : 1, frame_x,
           frame_y, i, points);
    if (pixel_format == PixelFormat::NV12 || pixel_format == PixelFormat::I420)
      locate(source.chroma, pixel_format == PixelFormat::NV12 ? 2 : 1,
             Simd::sub(Simd::mul(frame_x, half), quarter),
             Simd::sub(Simd::mul(frame_y, half), quarter), i, chroma);
  }
}

// Crop pixels [begin, end) of row y; at least Simd::count of them.
template <PixelFormat pixel_format>
void crop_run(const RowSource& shared, int y, int begin, int end, int64_t plane_px, float* out) {
  const RowSource source = shared;  // a local copy cannot alias `out`, so it stays in registers
  Points points, chroma;
  for (int from = begin; from < end; from += kChunk) {
    if (from > end - Simd::count) from = end - Simd::count;
    const int count = end - from < kChunk ? end - from : kChunk;
    locate_chunk<pixel_format>(source, y, from, count, &points, &chroma);
    for (int i = 0; i < count; i += Simd::count) {
      if (i > count - Simd::count) i = count - Simd::count;
      if (pixel_format == PixelFormat::GRAY)
        crop_gray(source, points, i, plane_px, out + from + i);
      else if (pixel_format == PixelFormat::NV12 || pixel_format == PixelFormat::I420)
        crop_yuv<pixel_format>(source, points, chroma, i, plane_px, out + from + i);
      else
        crop_color<pixel_format>(source, points, i, plane_px, out + from + i);
    }
  }
}

}  // namespace
}  // namespace faceaffect
