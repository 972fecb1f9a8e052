// Typeset what pymdownx.arithmatex marked: \( ... \) in the text, \[ ... \] on lines of its own.
document.addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll(".arithmatex")) {
    const source = element.textContent.trim()
    katex.render(source.slice(2, -2), element, {
      displayMode: source.startsWith("\\["),
      throwOnError: true,
    })
  }
})
