// A run of one crop row whose taps all lie inside the frame, several pixels at a time. Needs Lanes.
#pragma once

#include "crop_face.h"
#include "lanes.h"

namespace faceaffect {
namespace {

// A plane at its level as offsets from `data`: pixel (x, y) starts at y * stride + x * channels + shift.
struct PlaneAtLevel {
  const uint8_t* data;
  int stride;
  int shift;
};

struct RowSource {
  PlaneAtLevel plane, chroma;
  LevelMap map;
  float scale[3], offset[3];  // normalized = value * scale + offset, output order
  float low_xy[2], high_xy[2];  // positions in here read nothing outside, ends included
};

// Where a stretch of a row reads one plane. All positions of a stretch are found before its pixels are read: in one
// loop, the long chain from position over address and load to result outlasts what a processor looks ahead.
constexpr int kStretch = 64;
struct Points {
  int32_t offset[kStretch];
  float x_share[kStretch], y_share[kStretch];
};

inline void locate(const PlaneAtLevel& plane, int channels, Lanes::Float x, Lanes::Float y, int i, Points* points) {
  const Lanes::Int x0 = Lanes::truncate(x), y0 = Lanes::truncate(y);
  const Lanes::Int column = Lanes::add_int(Lanes::mul_int(x0, Lanes::set_int(channels)), Lanes::set_int(plane.shift));
  Lanes::store_int(points->offset + i, Lanes::add_int(Lanes::mul_int(y0, Lanes::set_int(plane.stride)), column));
  Lanes::store(points->x_share + i, Lanes::sub(x, Lanes::to_float(x0)));
  Lanes::store(points->y_share + i, Lanes::sub(y, Lanes::to_float(y0)));
}

inline Lanes::Float blend(Lanes::Float a, Lanes::Float b, Lanes::Float share) {
  return Lanes::fma(share, Lanes::sub(b, a), a);
}

template <int left, int right>
Lanes::Float tap(Lanes::Int top_left, Lanes::Int top_right, Lanes::Int low_left, Lanes::Int low_right,
                 Lanes::Float x_share, Lanes::Float y_share) {
  return blend(blend(Lanes::byte<left>(top_left), Lanes::byte<right>(top_right), x_share),
               blend(Lanes::byte<left>(low_left), Lanes::byte<right>(low_right), x_share), y_share);
}

inline void store(const RowSource& source, int c, Lanes::Float value, float* out) {
  Lanes::store(out, Lanes::fma(value, Lanes::set(source.scale[c]), Lanes::set(source.offset[c])));
}

template <Layout layout>
void crop_color(const RowSource& source, const Points& points, int i, int64_t plane_px, float* out) {
  constexpr int first = layout == Layout::BGR ? 2 : 0;
  const Lanes::Float x_share = Lanes::load(points.x_share + i), y_share = Lanes::load(points.y_share + i);
  Lanes::Int top, top_right, low, low_right;  // bytes 0..3 and 4..7: the right pixel starts at byte 3
  Lanes::load_64(source.plane.data, points.offset + i, &top, &top_right);
  Lanes::load_64(source.plane.data + source.plane.stride, points.offset + i, &low, &low_right);
  store(source, first, tap<0, 3>(top, top, low, low, x_share, y_share), out + first * plane_px);
  store(source, 1, tap<1, 0>(top, top_right, low, low_right, x_share, y_share), out + plane_px);
  store(source, 2 - first, tap<2, 1>(top, top_right, low, low_right, x_share, y_share), out + (2 - first) * plane_px);
}

inline Lanes::Float sample_luma(const RowSource& source, const Points& points, int i) {
  const Lanes::Int top = Lanes::load_32(source.plane.data, points.offset + i);
  const Lanes::Int low = Lanes::load_32(source.plane.data + source.plane.stride, points.offset + i);
  return tap<0, 1>(top, top, low, low, Lanes::load(points.x_share + i), Lanes::load(points.y_share + i));
}

inline void crop_gray(const RowSource& source, const Points& points, int i, int64_t plane_px, float* out) {
  const Lanes::Float luma = sample_luma(source, points, i);
  for (int c = 0; c < 3; ++c) store(source, c, luma, out + c * plane_px);
}

inline void crop_nv12(const RowSource& source, const Points& points, const Points& chroma, int i, int64_t plane_px,
                      float* out) {
  const Lanes::Float luma = sample_luma(source, points, i);
  const Lanes::Int top = Lanes::load_32(source.chroma.data, chroma.offset + i);
  const Lanes::Int low = Lanes::load_32(source.chroma.data + source.chroma.stride, chroma.offset + i);
  const Lanes::Float x_share = Lanes::load(chroma.x_share + i), y_share = Lanes::load(chroma.y_share + i);
  const Lanes::Float middle = Lanes::set(128.0f), zero = Lanes::set(0.0f), full = Lanes::set(255.0f);
  const Lanes::Float u = Lanes::sub(tap<0, 2>(top, top, low, low, x_share, y_share), middle);
  const Lanes::Float v = Lanes::sub(tap<1, 3>(top, top, low, low, x_share, y_share), middle);
  const Lanes::Float gray = Lanes::mul(Lanes::set(1.1643836f), Lanes::sub(luma, Lanes::set(16.0f)));
  const Lanes::Float rgb[3] = {
      Lanes::fma(Lanes::set(1.5960268f), v, gray),
      Lanes::fma(Lanes::set(-0.8129676f), v, Lanes::fma(Lanes::set(-0.3917623f), u, gray)),
      Lanes::fma(Lanes::set(2.0172321f), u, gray),
  };
  for (int c = 0; c < 3; ++c) store(source, c, Lanes::min(Lanes::max(rgb[c], zero), full), out + c * plane_px);
}

// Finds the points of crop pixels [begin, begin + count) of row y. The last step overlaps the one before.
template <Layout layout>
void locate_stretch(const RowSource& source, int y, int begin, int count, Points* points, Points* chroma) {
  const float* m = source.map.m;
  const Lanes::Float x_step = Lanes::set(m[0]), y_step = Lanes::set(m[3]);
  const Lanes::Float x_row = Lanes::set(m[1] * static_cast<float>(y)), x_start = Lanes::set(m[2]);
  const Lanes::Float y_row = Lanes::set(m[4] * static_cast<float>(y)), y_start = Lanes::set(m[5]);
  const Lanes::Float half = Lanes::set(0.5f), quarter = Lanes::set(0.25f);
  for (int i = 0; i < count; i += Lanes::count) {
    if (i > count - Lanes::count) i = count - Lanes::count;
    const Lanes::Float column = Lanes::add(Lanes::set(static_cast<float>(begin + i)), Lanes::iota());
    const Lanes::Float frame_x = Lanes::add(Lanes::add(Lanes::mul(x_step, column), x_row), x_start);
    const Lanes::Float frame_y = Lanes::add(Lanes::add(Lanes::mul(y_step, column), y_row), y_start);
    locate(source.plane, layout == Layout::BGR || layout == Layout::RGB ? 3 : 1, frame_x, frame_y, i, points);
    if (layout == Layout::NV12)
      locate(source.chroma, 2, Lanes::sub(Lanes::mul(frame_x, half), quarter),
             Lanes::sub(Lanes::mul(frame_y, half), quarter), i, chroma);
  }
}

// Crop pixels [begin, end) of row y; at least Lanes::count of them.
template <Layout layout>
void crop_run(const RowSource& shared, int y, int begin, int end, int64_t plane_px, float* out) {
  const RowSource source = shared;  // a copy that no store to `out` can change, so it stays in registers
  Points points, chroma;
  for (int from = begin; from < end; from += kStretch) {
    if (from > end - Lanes::count) from = end - Lanes::count;
    const int count = end - from < kStretch ? end - from : kStretch;
    locate_stretch<layout>(source, y, from, count, &points, &chroma);
    for (int i = 0; i < count; i += Lanes::count) {
      if (i > count - Lanes::count) i = count - Lanes::count;
      if (layout == Layout::GRAY)
        crop_gray(source, points, i, plane_px, out + from + i);
      else if (layout == Layout::NV12)
        crop_nv12(source, points, chroma, i, plane_px, out + from + i);
      else
        crop_color<layout>(source, points, i, plane_px, out + from + i);
    }
  }
}

}  // namespace
}  // namespace faceaffect
