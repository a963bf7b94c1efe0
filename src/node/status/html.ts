// Text into HTML: what stands between the marks of a template is escaped, unless it is HTML already.

/** Made by html`…` alone. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character]!)

/** Values may stand in text and in quoted attributes. */
export function html(marks: TemplateStringsArray, ...values: readonly (string | Html | readonly Html[])[]): Html {
  let text = marks[0]!
  for (const [index, value] of values.entries()) {
    if (typeof value === 'string') text += escaped(value)
    else if (value instanceof Html) text += value.text
    else for (const one of value) text += one.text
    text += marks[index + 1]!
  }
  return new Html(text)
}
