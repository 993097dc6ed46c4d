#include "instruction_sets.h"
#include "lanes.h"

#if FACEAFFECT_LANES
#include "crop_region.h"
#include "crop_row.h"
#include "crop_span.h"
#endif

namespace faceaffect {
namespace FACEAFFECT_ISA {

namespace {

void crop_by_definition(const FrameView& frame, const LevelMap& map, const CropParams& params, int y, int begin,
                        int end, float* out) {
  const int64_t size = params.size_px;
  for (int x = begin; x < end; ++x)
    for (int c = 0; c < 3; ++c) out[(c * size + y) * size + x] = crop_face_value(frame, map, params, c, y, x);
}

#if FACEAFFECT_LANES

// Offsets into a frame are 32 bits wide; no real frame comes near, a view of a huge array may.
bool fits_offsets(const PlaneView& plane) {
  const int64_t stride = plane.row_stride < 0 ? -plane.row_stride : plane.row_stride;
  return stride * plane.height_px < (int64_t{1} << 30);
}

PlaneAtLevel plane_at_level(const PlaneView& plane, int level, const Region& region, int slot, Scratch& scratch) {
  if (level == 0) return {plane.data, static_cast<int>(plane.row_stride), 0};
  const int stride = (region.x1 - region.x0 + 1) * plane.channels;
  return {halve_region(plane, level, region, slot, scratch), stride,
          -(region.y0 * stride + region.x0 * plane.channels)};
}

// Where positions may lie so that the loads of crop_lanes stay inside the planes: 8 bytes a color pixel, 4 bytes else.
void limit_positions(const FrameView& frame, RowSource* source) {
  const int level = source->map.level;
  const bool color = frame.plane.channels == 3;
  source->low_xy[0] = source->low_xy[1] = 0.0f;
  int high_x = level_size(frame.plane.width_px, level) - (color ? 3 : 4);
  int high_y = level_size(frame.plane.height_px, level) - 2;
  if (frame.layout == Layout::NV12) {
    source->low_xy[0] = source->low_xy[1] = 0.5f;
    const int chroma_x = 2 * level_size(frame.chroma.width_px, level) - 4;
    const int chroma_y = 2 * level_size(frame.chroma.height_px, level) - 4;
    high_x = chroma_x < high_x ? chroma_x : high_x;
    high_y = chroma_y < high_y ? chroma_y : high_y;
  }
  source->high_xy[0] = static_cast<float>(high_x);
  source->high_xy[1] = static_cast<float>(high_y);
}

void prepare_planes(const FrameView& frame, const float* low_xy, const float* high_xy, RowSource* source,
                    Scratch& scratch) {
  const int level = source->map.level;
  Region region = region_around(low_xy, high_xy, level_size(frame.plane.width_px, level),
                                level_size(frame.plane.height_px, level));
  source->plane = plane_at_level(frame.plane, level, region, 0, scratch);
  if (frame.layout != Layout::NV12) return;
  const float chroma_low[2] = {chroma_position(low_xy[0]), chroma_position(low_xy[1])};
  const float chroma_high[2] = {chroma_position(high_xy[0]), chroma_position(high_xy[1])};
  region = region_around(chroma_low, chroma_high, level_size(frame.chroma.width_px, level),
                         level_size(frame.chroma.height_px, level));
  source->chroma = plane_at_level(frame.chroma, level, region, 1, scratch);
}

void crop_inside(Layout layout, const RowSource& source, int y, Span span, int size, float* out) {
  const int64_t plane_px = static_cast<int64_t>(size) * size;
  out += static_cast<int64_t>(y) * size;
  if (layout == Layout::BGR) return crop_run<Layout::BGR>(source, y, span.begin, span.end, plane_px, out);
  if (layout == Layout::RGB) return crop_run<Layout::RGB>(source, y, span.begin, span.end, plane_px, out);
  if (layout == Layout::GRAY) return crop_run<Layout::GRAY>(source, y, span.begin, span.end, plane_px, out);
  return crop_run<Layout::NV12>(source, y, span.begin, span.end, plane_px, out);
}

void fill_black(const CropParams& params, int y, int begin, int end, float* out) {
  const int64_t size = params.size_px;
  for (int c = 0; c < 3; ++c) {
    const float black = normalize_value(0.0f, params.normalize, c);
    for (int x = begin; x < end; ++x) out[(c * size + y) * size + x] = black;
  }
}

// One row: black outside the frame, the plain definition where taps straddle its border, lanes inside.
void crop_border_row(const FrameView& frame, const RowSource& source, const CropParams& params, int y, float* out) {
  const LevelMap& map = source.map;
  const int size = params.size_px;
  const float low_xy[2] = {-1.0f, -1.0f};
  const float high_xy[2] = {static_cast<float>(level_size(frame.plane.width_px, map.level)),
                            static_cast<float>(level_size(frame.plane.height_px, map.level))};
  const Span touched = span_inside(map, y, low_xy, high_xy, size);
  fill_black(params, y, 0, touched.begin, out);
  fill_black(params, y, touched.end, size, out);
  const Span inside = span_inside(map, y, source.low_xy, source.high_xy, size);
  if (inside.end - inside.begin < Lanes::count)
    return crop_by_definition(frame, map, params, y, touched.begin, touched.end, out);
  crop_by_definition(frame, map, params, y, touched.begin, inside.begin, out);
  crop_inside(frame.layout, source, y, inside, size, out);
  crop_by_definition(frame, map, params, y, inside.end, touched.end, out);
}

void crop_one(const FrameView& frame, const LevelMap& map, const CropParams& params, float* out, Scratch& scratch) {
  RowSource source = {};
  source.map = map;
  for (int c = 0; c < 3; ++c) {
    source.scale[c] = static_cast<float>(1.0 / (255.0 * params.normalize.std[c]));
    source.offset[c] = static_cast<float>(-static_cast<double>(params.normalize.mean[c]) / params.normalize.std[c]);
  }
  limit_positions(frame, &source);
  float low_xy[2], high_xy[2];
  position_bounds(map, params.size_px, low_xy, high_xy);
  prepare_planes(frame, low_xy, high_xy, &source, scratch);
  bool all_inside = params.size_px >= Lanes::count;
  for (int i = 0; i < 2; ++i)
    all_inside = all_inside && low_xy[i] >= source.low_xy[i] && high_xy[i] <= source.high_xy[i];
  for (int y = 0; y < params.size_px; ++y) {
    if (all_inside)
      crop_inside(frame.layout, source, y, {0, params.size_px}, params.size_px, out);
    else
      crop_border_row(frame, source, params, y, out);
  }
}

#else

bool fits_offsets(const PlaneView&) { return false; }
void crop_one(const FrameView&, const LevelMap&, const CropParams&, float*, Scratch&) {}

#endif

}  // namespace

void crop_face_cpu(const FrameView& frame, const float* estimate_crop_to_frame, int count, const CropParams& params, float* out,
                   Scratch& scratch) {
  const bool wide = fits_offsets(frame.plane) && (frame.layout != Layout::NV12 || fits_offsets(frame.chroma));
  const int64_t face = 3 * static_cast<int64_t>(params.size_px) * params.size_px;
  for (int b = 0; b < count; ++b) {
    const LevelMap map = map_at_level(estimate_crop_to_frame + 6 * b);
    if (wide)
      crop_one(frame, map, params, out + b * face, scratch);
    else
      for (int y = 0; y < params.size_px; ++y)
        crop_by_definition(frame, map, params, y, 0, params.size_px, out + b * face);
  }
}

}  // namespace FACEAFFECT_ISA
}  // namespace faceaffect
