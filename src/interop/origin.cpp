#include "interop/origin.h"

#include "esmscale/core/json.h"

#include <nlohmann/json.hpp>

namespace esmscale::interop {

std::string origin_of(const std::string& config, const ContactHead& head) {
  Json origin{{"format", "hugging face"}, {"config", parse_json(config, "config.json")}};
  if (!head.weight.empty()) origin["contact_head"] = {{"weight", head.weight}, {"bias", head.bias}};
  return to_text(origin);
}

ContactHead contact_head_of(const std::string& origin, int64_t size) {
  ContactHead head{.weight = std::vector<float>(static_cast<size_t>(size)), .bias = 0};
  if (origin.empty()) return head;
  const Json json = parse_json(origin, "a checkpoint's origin");
  if (!json.is_object() || !json.contains("contact_head")) return head;
  const auto weight = json["contact_head"].at("weight").get<std::vector<float>>();
  if (weight.size() != head.weight.size()) return head;
  return {.weight = weight, .bias = json["contact_head"].at("bias").get<float>()};
}

}  // namespace esmscale::interop
