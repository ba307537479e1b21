// Before the first result: what the page does, in one picture, and what it is good and bad at.
icm.welcome = () => {
  const { h } = icm;
  const good = [
    ["Good at", "the same thing in other places, animals and people in other poses, soft edges such as fur."],
    ["Fair at", "several of a kind at once, dark on dark, things that touch one another."],
    ["Bad at", "one of many that look alike, single hairs, glass."],
  ];
  const picture = h("img", { src: icm.url("about/welcome.webp"), width: 1200, height: 750,
    alt: "Left, a photo in which an object is marked once. Right, three other pictures before and after: "
      + "the same object is cut out of each." });
  return h("section", { class: "icm-welcome", "aria-label": "What this page does" },
    picture,
    h("p", { class: "icm-big" }, "Mark it on one photo; get it cut out of all the others."),
    h("ul", {}, good.map(([lead, text]) => h("li", {}, h("strong", {}, `${lead}: `), text))),
    h("p", { class: "icm-small" }, "Results appear here, one by one, as soon as the first picture is done."));
};
