#include "pack_upload.h"

#include <cstring>
#include <vector>

#include "crop_roi.h"

namespace faceaffect {

namespace {

constexpr size_t kAlign = 256;

size_t aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

size_t tile_bytes(const PlaneView& plane, const PlaneRoi& part) {
  return aligned(static_cast<size_t>(part.x1 - part.x0) * plane.channels * (part.y1 - part.y0));
}

// Copies `part` of the plane to `to`; returns the plane as the kernel sees it after the upload to
// `device`. Only pixels of `part` may be read through it.
PlaneView place_tile(const PlaneView& plane, const PlaneRoi& part, uint8_t* to, uintptr_t device) {
  const int64_t row_bytes = static_cast<int64_t>(part.x1 - part.x0) * plane.channels;
  const uint8_t* from =
      plane.data + part.y0 * plane.row_stride + static_cast<int64_t>(part.x0) * plane.channels;
  for (int y = part.y0; y < part.y1; ++y, from += plane.row_stride, to += row_bytes)
    std::memcpy(to, from, static_cast<size_t>(row_bytes));
  PlaneView tile = plane;
  tile.row_stride = row_bytes;
  const int64_t skipped = part.y0 * row_bytes + static_cast<int64_t>(part.x0) * plane.channels;
  tile.data = reinterpret_cast<const uint8_t*>(device - static_cast<uintptr_t>(skipped));
  return tile;
}

struct Tiles {
  PlaneRoi parts[2];
  size_t bytes;
};

}  // namespace

size_t pack_upload(const FrameView& frame, const float* crop_to_frame, int count, int slots,
                   int size_px, bool is_on_device, uint8_t* block, uintptr_t device,
                   size_t capacity) {
  const int chroma_planes = frame.pixel_format == PixelFormat::I420 ? 2 : frame.has_chroma();
  std::vector<FaceJob> jobs(static_cast<size_t>(slots));
  std::vector<Tiles> tiles(static_cast<size_t>(count));
  size_t needed = aligned(sizeof(FaceJob) * jobs.size());
  for (int b = 0; b < count; ++b) {
    jobs[b] = {frame, transform_at_level(crop_to_frame + 6 * b)};
    crop_rois(frame, jobs[b].transform, size_px, tiles[b].parts);
    tiles[b].bytes = tile_bytes(frame.plane, tiles[b].parts[0]);
    if (chroma_planes > 0)
      tiles[b].bytes += chroma_planes * tile_bytes(frame.chroma, tiles[b].parts[1]);
    if (!is_on_device) needed += tiles[b].bytes;
  }
  if (needed > capacity) return needed;
  size_t at = aligned(sizeof(FaceJob) * jobs.size());
  for (int b = 0; b < count && !is_on_device; ++b) {
    const PlaneRoi* parts = tiles[b].parts;
    jobs[b].frame.plane = place_tile(frame.plane, parts[0], block + at, device + at);
    size_t chroma_at = at + tile_bytes(frame.plane, parts[0]);
    if (chroma_planes > 0)
      jobs[b].frame.chroma =
          place_tile(frame.chroma, parts[1], block + chroma_at, device + chroma_at);
    if (chroma_planes > 1) {
      chroma_at += tile_bytes(frame.chroma, parts[1]);
      jobs[b].frame.chroma_v =
          place_tile(frame.chroma_v, parts[1], block + chroma_at, device + chroma_at);
    }
    at += tiles[b].bytes;
  }
  for (int b = count; b < slots; ++b) jobs[b] = jobs[count - 1];
  std::memcpy(block, jobs.data(), sizeof(FaceJob) * jobs.size());
  return needed;
}

}  // namespace faceaffect
